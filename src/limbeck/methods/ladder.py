"""Many sizes out of one training."""

from functools import partial

from limbeck import losses
from limbeck.connectors import Connector, Tail
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Field, Source, Tap, Via
from limbeck.transforms import mean_of

PAPER = "Walawalkar, Shen & Savvides 2020, Online Ensemble Model Compression using Knowledge Distillation, arXiv 2011.07449"


@method(paper=PAPER, year=2020, serves=("exits",))
def ladder(
    ratios: tuple[float, ...] = (0.75, 0.5, 0.25),
    shared: str = "layer1",
    rest: tuple[str, ...] = ("layer2", "layer3", "pool", "linear"),
    compared: int = 1,
    temperature: float = 2.0,
    weights: tuple[float, float, float] = (0.7, 0.15, 0.15),
    deploy: int = -1,
) -> Method:
    """Narrower and narrower copies of a network on one first block; their ensemble teaches all, the full one's map the others.

    L = a sum_i CE(y, p_i) + b sum_(i>1) mean (c_i(F_i) - F_1)^2 + g sum_i T^2 KL(p_e || p_i), z_e = mean_i z_i

    Losses and weights of the survey notes; only the abstract was at hand. A 1x1 convolution leads from the shared block
    into a narrower copy, and c_i (1x1) from its map to the full one's. Temperature and the compared layer are ours.

    Use it when one training shall leave several networks of different width, of which you deploy the one that fits. All copies
    run in every step, so it is dear when only one is wanted.

    Args:
        ratios: channels of each copy, as parts of the full network's. shared: the last shared layer.
        rest: all layers after it, in order. compared: which of them gives F (0 the first).
        temperature: T. weights: a, b, g. deploy: index into `ratios`: the copy that is kept; the last by default.
    """
    a, b, g = weights
    trunk, names = Tap("student", shared), [f"copy_{k}" for k in range(1, len(ratios) + 1)]
    copies = tuple(f"student.{layer}" for layer in rest)
    parts = {n: Part(partial(Tail, ratio=r), like=(trunk,), copies=copies) for n, r in zip(names, ratios, strict=True)}
    answers: dict[str, Source] = {"student": Tap("student")} | {n: trunk.via(n)[-1] for n in names}
    crowd = Via(mean_of, tuple(answers.values())).detach()
    by = partial(losses.soft_target, temperature=temperature)
    full = Tap("student", rest[compared])
    terms = [task(weight=a)]
    for name in names:
        narrow = trunk.via(name)[compared]
        parts[f"connector_{name}"] = Part(Connector, like=(narrow, full))
        near = narrow.via(f"connector_{name}")
        terms.append(Term(f"task {name}", losses.cross_entropy, weight=a, student=answers[name], labels=Field("labels")))
        terms.append(Term(f"map {name}", losses.mse, weight=b, student=near, teacher=full.detach()))
    terms += [Term(f"soft {n}", by, weight=g, student=z, teacher=crowd) for n, z in answers.items()]
    return single_stage(*terms, trains=("student", *parts), name="ladder", parts=parts, deploys=answers[names[deploy]])
