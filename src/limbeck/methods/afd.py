"""Networks that cannot be told apart by their maps."""

from functools import partial

import torch

from limbeck import losses
from limbeck.connectors import ConvRegressor, MapJudge
from limbeck.methods._terms import soft, task
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.taps import Source, Tap


@method(paper="Chung et al. 2020, Feature-map-level Online Adversarial Knowledge Distillation, arXiv 2002.01775", year=2020)
def afd(peers: tuple[str, ...] = ("student", "peer"), at: str = "layer3", temperature: float = 3.0, rate: float = 2e-5) -> Method:
    """Each network's judge tells the next network's maps (real) from its own (fake); the network learns to pass for the next.

    answers: L = sum_k CE(y, p_k) + T^2 KL(p_j || p_k), j = k + 1 (cyclic), by the run's optimiser; then by maps, with Adam:
    judges sum_k (1 - D_k(T_j(F_j)))^2 + D_k(T_k(F_k))^2 and networks sum_k (1 - D_k(T_k(F_k)))^2

    The survey notes and the paper's abstract were at hand. That answers and maps move the networks in turn, each by an
    optimiser of its own, and Adam's rate of 2e-5 are recalled from the paper; the layers of T_k (1x1, to the first network's
    channels) and of D_k are ours, and with more than two networks logits follow the same circle as maps.

    Use it when you have no teacher and train two or more networks of similar design from scratch, with last maps of like size.
    All networks and their judges train at once, which costs at least twice a single training, and adversarial terms need more
    than a few epochs.

    Args:
        peers: at least two roles; the first is deployed. at: the last map of each. temperature: T, 3.
        rate: of Adam, for what maps teach.
    """
    following = dict(zip(peers, (*peers[1:], peers[0]), strict=True))
    maps: dict[str, Source] = {p: Tap(p, at).via(f"transfer_{p}") for p in peers}
    parts = {f"transfer_{p}": Part(ConvRegressor, like=(Tap(p, at), Tap(peers[0], at))) for p in peers}
    parts |= {f"judge_{p}": Part(MapJudge, like=(maps[p],)) for p in peers}
    judge, learn, fool = [], [], []
    for p, q in following.items():
        real, fake = (maps[name].detach().via(f"judge_{p}").via(torch.sigmoid) for name in (q, p))
        judge += [Term(f"real {p}", losses.real_squares, score=real), Term(f"fake {p}", losses.fake_squares, score=fake)]
        fool.append(Term(f"pass {p}", losses.real_squares, score=maps[p].via(f"judge_{p}").via(torch.sigmoid)))
        learn += [task(p), soft(p, q, temperature=temperature)]
    adam = partial(torch.optim.Adam, lr=rate)
    answers = Update(peers, tuple(learn))
    judges = Update(tuple(f"judge_{p}" for p in peers), tuple(judge), optimizer=adam)
    passing = Update((*peers, *(f"transfer_{p}" for p in peers)), tuple(fool), optimizer=adam)
    return Method((Stage("mutual", (answers, judges, passing)),), parts=parts, deploys=peers[0])
