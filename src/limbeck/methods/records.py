"""Data that is gone, but was written down: activation records of the teacher."""

from collections.abc import Callable
from functools import partial

import torch

from limbeck import losses
from limbeck.connectors import Replayed, Replays, SpectralRecord, UnitRecord, measure_records, strength
from limbeck.methods._terms import soft
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.taps import Field, Tap

PAPER = "Lopes, Fenu & Starner 2017, Data-Free Knowledge Distillation for Deep Neural Networks, arXiv 1710.07535"


@method(paper=PAPER + " (top layer)", year=2017, serves=("private data",))
def records_top(
    at: str = "linear", size: int = 1000, rate: float = 0.07, temperature: float = 8.0, share: float = 1.0, record: float = 0.1
) -> Method:
    """Stage 1 records mean and covariance of the teacher's top layer per class, with data. Stage 2, without, makes inputs
    whose activations are like draws from that record. Stage 3 distils on these inputs alone.

    x = argmin mean (relu(a(x)) - relu(r))^2, r ~ N(mean_c, covariance_c), by Adam from noise; then T^2 KL(p_teacher || p)

    Abstract and authors' code (irapha/replayed_distillation): statistics, cut at 0, noise and rate are the code's, whose
    draws use the transposed root of the covariance; here they have the covariance. Temperature and budgets are ours.

    Use it when only a small record, mean and covariance per class of one layer, may leave the place of the data. Made inputs look
    little like real ones, so expect a clear loss against real data.

    Args:
        at: the recorded layer. size: inputs made. rate: of Adam on the inputs. temperature: T of stage 3.
        share, record: budgets of stages 2 and 1, in parts of the run's.
    """
    return _replayed({at: (at,)}, UnitRecord, size, rate, temperature, share, record)


@method(paper=PAPER + " (all layers)", year=2017, serves=("private data",))
def records_all(
    at: tuple[str, ...] = ("layer1", "layer2", "layer3", "linear"),
    size: int = 1000,
    rate: float = 0.07,
    temperature: float = 8.0,
    share: float = 1.0,
    record: float = 0.1,
) -> Method:
    """The same with several layers recorded and matched together; of maps, mean and variance of every unit.

    x = argmin sum_l mean (relu(a_l(x)) - relu(r_l))^2; the code divides each layer by its size once more, which is left out

    Use it when the training data may not be kept, but what activations looked like was recorded at several layers while they were
    there. More layers make closer inputs than `records_top` and a harder search for them.

    Args:
        at: the recorded layers. size, rate, temperature, share, record: as in `records_top`.
    """
    return _replayed({layer: (layer,) for layer in at}, UnitRecord, size, rate, temperature, share, record)


@method(paper=PAPER + " (spectral)", year=2017, serves=("private data",))
def records_spectral(
    at: tuple[str, ...] = ("layer1", "layer2", "layer3", "linear"),
    pairs: bool = True,
    kept: float = 0.5,
    size: int = 1000,
    rate: float = 0.07,
    temperature: float = 8.0,
    share: float = 1.0,
    record: float = 0.1,
) -> Method:
    """The same with graph-Fourier coefficients of the layers' channels, or of pairs of neighbouring layers'.

    x = argmin sum_l mean (U_l^T a_l(x) - r_l)^2, U = eigenvectors of the graph's Laplacian with the largest eigenvalues

    Use it when activations of whole layers were recorded in compressed form, as coefficients of a graph of channels, and the data
    are gone. It is the dearest and most delicate of the three kinds of record.

    Args:
        at: the recorded layers, from shallow to deep. pairs: one graph for every two neighbours instead of for each layer.
        kept: part of the coefficients that is recorded. size, rate, temperature, share, record: as in `records_top`.
    """
    groups = tuple(zip(at, at[1:], strict=False)) if pairs else tuple((layer,) for layer in at)
    by = partial(SpectralRecord, kept=kept)
    return _replayed({"-".join(group): group for group in groups}, by, size, rate, temperature, share, record)


def _replayed(
    groups: dict[str, tuple[str, ...]], by: Callable, size: int, rate: float, temperature: float, share: float, record: float
) -> Method:
    answer, measure, match = Tap("teacher"), [], []
    parts: dict[str, Part] = {}
    for k, (name, layers) in enumerate(groups.items(), start=1):
        part, taps = f"record_{k}", tuple(Tap("teacher", layer) for layer in layers)
        parts[part] = Part(by, like=(answer, *taps))
        second = {"second": taps[1]} if len(taps) > 1 else {}
        measure.append(Term(f"record {name}", strength, first=taps[0], labels=Field("labels"), **second))  # type: ignore[arg-type]
        match.append(Term(f"replay {name}", losses.mse, student=taps[0].via(part, *taps[1:]), teacher=Field(part)))
    records = tuple(parts)
    parts["replays"] = Part(partial(Replays, size=size), like=(answer, Tap("teacher", io="input")))
    adam = partial(torch.optim.Adam, lr=rate)
    write = Update(records, tuple(measure), apply=measure_records)
    invert = Update(("replays",), tuple(match), source=Replayed(records=records), optimizer=adam)
    learn = Update(("student",), (soft(temperature=temperature),), source=Replayed())
    stages = (Stage("record", (write,), share=record), Stage("replay", (invert,), share=share), Stage("distil", (learn,)))
    return Method(stages, parts=parts)
