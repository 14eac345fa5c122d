"""Peers that choose whom to believe, and a leader that learns from them all."""

from collections.abc import Callable
from functools import partial

from limbeck import losses
from limbeck.connectors import PeerAttention, Tail
from limbeck.methods._terms import task
from limbeck.plan import Count, Method, Part, Term, method, single_stage
from limbeck.plan.schedules import ramp_up
from limbeck.plan.taps import Field, Source, Tap, Via
from limbeck.transforms import mean_of, tempered
from limbeck.transforms.answers import mean_probabilities, peer_logits, peer_target

PAPER = "Chen et al. 2020, Online Knowledge Distillation with Diverse Peers, arXiv 1912.00350"
PEERS = ("peer_1", "peer_2", "peer_3")


@method(paper=PAPER, year=2020)
def okddip(peers: tuple[str, ...] = PEERS, at: str = "pool", temperature: float = 3.0, ramp: float = 0.27) -> Method:
    """Each peer learns from its own mixture of all peers' answers, weighed by attention; the leader from their plain mean.

    L = sum_all CE + w(t) T^2 [sum_a KL(t_a || p_a) + KL(mean_a p_a || p_leader)], t_a = sum_b softmax_b(<L h_a, E h_b>) p_b

    The network-based form. Answers are stopped, the attention is not: so it learns to make good targets.

    Use it when three or more peers can be trained together and should not all become alike: each has a target of its own. Memory
    and time grow with the number of peers, of which one leader stays.

    Args:
        peers: auxiliary roles; the role "student" is the leader, the one that is deployed.
        at: the embedding h, of equal width in all peers.
        temperature: T, 3 as published. ramp: part of the run over which w rises to 1 (80 of 300 epochs in the code).
    """

    def learn(who: str, target: Source) -> Term:
        return _toward(who, Tap(who), target, temperature, ramp)

    mixed, mean = partial(peer_target, temperature=temperature), partial(mean_probabilities, temperature=temperature)
    return _group(peers, at, mixed, mean, learn)


@method(paper=PAPER + " (as in the authors' code)", year=2020, serves=("public code",))
def okddip_code(peers: tuple[str, ...] = PEERS, at: str = "pool", temperature: float = 3.0, ramp: float = 0.27) -> Method:
    """The same as the authors' code has it: logits are mixed and averaged, not probabilities.

    t_a = softmax(sum_b softmax_b(<L h_a, E h_b>) z_b / T), and the leader's target is softmax(mean_a z_a / T)

    After DefangChen/OKDDip, except that there the mixed logits are not stopped.

    Use it when you compare with the authors' code, which mixes logits where the paper mixes probabilities; the targets are
    sharper where peers agree.

    Args:
        peers, at, temperature, ramp: as in `okddip`.
    """
    by = partial(losses.soft_target, temperature=temperature)

    def learn(who: str, target: Source) -> Term:
        return Term(f"soft {who}", by, weight=ramp_up(1.0, over=ramp), student=Tap(who), teacher=target)

    return _group(peers, at, peer_logits, mean_of, learn)


@method(paper=PAPER + " (branch-based)", year=2020)
def okddip_branches(
    peers: Count = 3,
    trunk: str = "layer2",
    rest: tuple[str, ...] = ("layer3", "pool", "linear"),
    at: int = 1,
    temperature: float = 3.0,
    ramp: float = 0.27,
) -> Method:
    """The same with one trunk: the leader is the network's own end, the peers are fresh copies of its upper layers.

    Use it when you want diverse peers at the price of one trunk: only the upper layers are multiplied. A shared trunk makes the
    branches more alike than separate networks would be.

    Args:
        peers: copies. trunk: the last shared layer. rest: all layers after it, in order.
        at: which of them gives the embedding h (0 the first). temperature, ramp: as in `okddip`.
    """
    shared = Tap("student", trunk)
    names = [f"branch_{k}" for k in range(1, peers + 1)]
    copies = tuple(f"student.{layer}" for layer in rest)
    outputs = {name: shared.via(name) for name in names}
    parts: dict[str, Part] = {name: Part(Tail, like=(shared,), copies=copies) for name in names}
    parts["attention"] = Part(PeerAttention, like=tuple(out[at] for out in outputs.values()))
    projected = Via("attention", tuple(out[at] for out in outputs.values()))
    answers = tuple(out[-1].detach() for out in outputs.values())
    terms = [task()]
    for k, (name, out) in enumerate(outputs.items()):
        target = projected.via(partial(peer_target, peer=k, temperature=temperature), *answers)
        terms.append(Term(f"task {name}", losses.cross_entropy, student=out[-1], labels=Field("labels")))
        terms.append(_toward(name, out[-1], target, temperature, ramp))
    crowd = Via(partial(mean_probabilities, temperature=temperature), answers)
    terms.append(_toward("student", Tap("student"), crowd, temperature, ramp))
    return single_stage(*terms, trains=("student", *parts), name="branches", parts=parts)


def _toward(who: str, answer: Source, target: Source, temperature: float, ramp: float) -> Term:
    """T^2 KL(target || answer), ramped up."""
    student, weight = answer.via(partial(tempered, temperature=temperature)), ramp_up(temperature**2, over=ramp)
    return Term(f"soft {who}", losses.kl_to_probabilities, weight=weight, student=student, probabilities=target)


def _group(peers: tuple[str, ...], at: str, mixed: Callable, mean: Callable, learn: Callable[[str, Source], Term]) -> Method:
    features, answers = tuple(Tap(p, at) for p in peers), tuple(Tap(p).detach() for p in peers)
    projected = Via("attention", features)
    terms = [task(p) for p in (*peers, "student")]
    terms += [learn(p, projected.via(partial(mixed, peer=k), *answers)) for k, p in enumerate(peers)]
    terms.append(learn("student", Via(mean, answers)))
    trains = (*peers, "student", "attention")
    return single_stage(*terms, trains=trains, name="peers", parts={"attention": Part(PeerAttention, like=features)})
