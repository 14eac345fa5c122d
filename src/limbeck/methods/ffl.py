"""What several networks see, fused."""

from functools import partial

from limbeck import losses
from limbeck.connectors import Fusion
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Field, Source, Tap, Via
from limbeck.transforms import mean_of


@method(paper="Kim et al. 2019, Feature Fusion for Online Mutual Knowledge Distillation, arXiv 1904.09058", year=2019)
def ffl(
    peers: tuple[str, ...] = ("student", "peer"), at: str = "layer3", temperature: float = 3.0, fused: bool = False
) -> Method:
    """The ensemble of the networks' logits teaches a classifier on their fused maps, which teaches every network.

    L = sum_k CE(y, p_k) + CE(y, p_f) + T^2 [KL(p_e || p_f) + sum_k KL(p_f || p_k)], z_e = mean_k z_k, p_f of the fusion module

    The losses are those of the survey notes; the module (depthwise, then pointwise convolution) also follows public code.

    Use it when two or more networks without a teacher are trained side by side and the fused classifier may be deployed too.
    Their last maps are fused by a module that is trained from nothing, so early in training it has little to teach.

    Args:
        peers: at least two roles, of any architecture; the first is deployed. at: the last map of each.
        temperature: T, 3. fused: deploy the fused classifier, with all networks below it, instead.
    """
    maps = tuple(Tap(p, at) for p in peers)
    fusion = Via("fusion", maps)
    by = partial(losses.soft_target, temperature=temperature)
    crowd = Via(mean_of, tuple(Tap(p) for p in peers)).detach()
    terms = [task(p) for p in peers]
    terms += [
        Term("task fused", losses.cross_entropy, student=fusion, labels=Field("labels")),
        Term("soft fused", by, student=fusion, teacher=crowd),
        *(Term(f"soft {p}", by, student=Tap(p), teacher=fusion.detach()) for p in peers),
    ]
    kept: str | Source = fusion if fused else peers[0]
    parts = {"fusion": Part(Fusion, like=(*maps, Tap(peers[0])))}
    return single_stage(*terms, trains=(*peers, "fusion"), name="fuse", parts=parts, deploys=kept)
