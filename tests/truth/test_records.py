"""Row 15: activation records. Statistics against NumPy, the graph basis by hand, inversion where it is known, and that
no data is touched once the records are written."""

import math

import numpy as np
import pytest
import torch
from digits import DIGITS
from torch import nn

from limbeck import engine, models
from limbeck.connectors import Replayed, Replays, SpectralRecord, UnitRecord
from limbeck.connectors.records import graph_basis
from limbeck.data.streams import Streams
from limbeck.methods import alone, find
from limbeck.plan import Stage, Update
from limbeck.plan.roles import Adapter, Cast, Normalise


def batches(shape, count=4, size=50, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(math.prod(shape), math.prod(shape), generator=generator)
    for _ in range(count):
        labels = torch.randint(0, 3, (size,), generator=generator)
        noise = torch.randn(size, math.prod(shape), generator=generator) @ mix
        yield labels, (noise + labels[:, None]).reshape(size, *shape)


def test_a_vectors_record_is_numpys_mean_and_covariance_per_class():
    record, labels, rows = UnitRecord(torch.zeros(1, 3), torch.zeros(1, 4)), [], []
    for y, x in batches((4,)):
        record.add(y, x)
        labels.append(y.numpy())
        rows.append(x.double().numpy())
    labels, rows = np.concatenate(labels), np.concatenate(rows)
    mean, covariance = record.statistics()
    for c in range(3):
        np.testing.assert_allclose(mean[c], rows[labels == c].mean(0), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(covariance[c], np.cov(rows[labels == c].T, bias=True), rtol=1e-8, atol=1e-10)


def test_a_maps_record_is_mean_and_variance_of_every_unit():
    record, labels, rows = UnitRecord(torch.zeros(1, 3), torch.zeros(1, 2, 2, 2)), [], []
    for y, x in batches((2, 2, 2)):
        record.add(y, x)
        labels.append(y.numpy())
        rows.append(x.double().flatten(1).numpy())
    labels, rows = np.concatenate(labels), np.concatenate(rows)
    mean, variance = record.statistics()
    assert variance.shape == (3, 8)
    for c in range(3):
        np.testing.assert_allclose(mean[c], rows[labels == c].mean(0), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(variance[c], rows[labels == c].var(0), rtol=1e-8)


def test_draws_have_the_recorded_statistics():
    """20,000 draws: standard errors of about 1 % of the spread."""
    record = UnitRecord(torch.zeros(1, 3), torch.zeros(1, 4))
    for y, x in batches((4,)):
        record.add(y, 100 + x)  # far from 0, where the cut is
    codes = record.draw(torch.full((20_000,), 2), torch.Generator().manual_seed(0)).double()
    mean, covariance = record.statistics()
    scale = covariance[2].diagonal().max()
    torch.testing.assert_close(codes.mean(0), mean[2], rtol=0, atol=0.04 * scale.sqrt().item())
    torch.testing.assert_close(codes.T.cov(), covariance[2], rtol=0, atol=0.05 * scale.item())
    again = record.draw(torch.full((20_000,), 2), torch.Generator().manual_seed(0)).double()
    assert torch.equal(codes, again)


def test_codes_are_cut_at_zero_on_both_sides():
    record = UnitRecord(torch.zeros(1, 2), torch.zeros(1, 2))
    assert record(torch.tensor([[-1.0, 2.0]])).tolist() == [[0.0, 2.0]]
    record.add(torch.tensor([0, 0]), torch.tensor([[-5.0, 3.0], [-5.0, 3.0]]))
    assert record.draw(torch.tensor([0]), torch.Generator().manual_seed(0))[0, 0] == 0


def test_graph_basis_of_a_path_by_hand():
    """Three units, correlations 1/2 between neighbours, 0 between the ends: the Laplacian is half that of a path of
    three, with eigenvalues 0, 1/2, 3/2 and eigenvectors 1, (1, 0, -1), (1, -2, 1)."""
    covariance = torch.tensor([[4.0, 1.0, 0.0], [1.0, 1.0, 1.5], [0.0, 1.5, 9.0]])
    basis = graph_basis(covariance, 2)
    expected = torch.tensor([[1, 0, -1], [1, -2, 1]]) / torch.tensor([[2.0], [6.0]]).sqrt()
    torch.testing.assert_close(basis.T.abs(), expected.abs(), rtol=0, atol=1e-6)
    # between the first unit and the two others only: an edge 0-1, and unit 2 alone: eigenvalues 0, 0, 1
    torch.testing.assert_close(graph_basis(covariance, 1, first=1).T.abs(), torch.tensor([[1.0, 1.0, 0.0]]) / math.sqrt(2))


def test_a_spectral_record_has_the_statistics_of_the_coefficients():
    record = SpectralRecord(torch.zeros(1, 3), torch.zeros(1, 3, 2, 2), torch.zeros(1, 2), kept=0.6)
    pairs = [(y, x.reshape(-1, 5, 2, 2)[:, :3], x.reshape(-1, 5, 2, 2)[:, 3:].mean((2, 3))) for y, x in batches((20,))]
    for y, first, second in pairs:
        record.add(y, first, second)
    assert record.basis.shape == (5, 3)
    torch.testing.assert_close(record.basis.T @ record.basis, torch.eye(3), rtol=0, atol=1e-5)
    labels = torch.cat([y for y, *_ in pairs])
    codes = torch.cat([record(first, second) for _, first, second in pairs])
    drawn = record.draw(torch.full((20_000,), 1), torch.Generator().manual_seed(1))
    mine = codes[labels == 1]
    size = mine.T.cov(correction=0).diagonal().max().item()
    torch.testing.assert_close(drawn.mean(0), mine.mean(0), rtol=0, atol=0.04 * size**0.5)
    torch.testing.assert_close(drawn.T.cov(), mine.T.cov(correction=0), rtol=0, atol=0.05 * size)


def test_a_linear_teacher_is_inverted_exactly():
    """a(x) = W x with W invertible and a record without spread: x = W^-1 mean."""
    weight = torch.tensor([[2.0, 1.0], [0.0, 1.0]])
    teacher = nn.Sequential()
    teacher.add_module("linear", nn.Linear(2, 2, bias=False))
    teacher.linear.weight.data.copy_(weight)
    goal = torch.tensor([[3.0, 1.0], [1.0, 2.0]])  # per class; above 0, so that the cut takes nothing away

    class Fixed:
        def __call__(self, partitions, position):
            return {"inputs": torch.linalg.solve(weight, goal.T).T.repeat(8, 1), "labels": torch.tensor([0, 1] * 8)}

    method = find("records_top")(size=8, record=0.01)
    cast = Cast({"teacher": teacher, "student": nn.Linear(2, 2)})
    engine.train(method, cast, Fixed(), engine.Fit(steps=600), seed=0, device="cpu")
    bank = cast["replays"]
    expected = torch.linalg.solve(weight, goal.T).T[bank.labels]
    torch.testing.assert_close(torch.cat(list(bank.images)), expected, rtol=0, atol=0.05)  # the root's jitter is 1e-2


@pytest.mark.parametrize("name", ["records_top", "records_all", "records_spectral"])
def test_what_is_made_is_taken_for_its_class_and_needs_no_data(name):
    torch.manual_seed(0)
    prepare = Adapter(prepare=Normalise(DIGITS.mean, DIGITS.std))
    nets = {who: models.build("cnn", classes=10, shape=DIGITS.shape, arguments={"width": 8}) for who in ("teacher", "student")}
    cast = Cast(nets, {"teacher": prepare, "student": prepare})
    streams = Streams(DIGITS, size=64, seed=0)
    engine.train(alone(role="teacher"), cast, streams, engine.Fit(steps=150), seed=0, device="cpu")
    cast["teacher"].eval()
    method, here = find(name)(size=100), []

    class Gone:
        def __call__(self, partitions, position):
            assert not here or here[-1] == "record", f"data was asked for in stage {here[-1]}"
            return streams(partitions, position)

    def listen(kind, facts):
        if kind == "stage":
            here.append(facts["stage"])

    engine.train(method, cast, Gone(), engine.Fit(steps=150), seed=0, device="cpu", listen=listen)
    assert here == ["record", "replay", "distil"]
    bank = cast["replays"]
    images = torch.cat(list(bank.images)).detach()
    with torch.no_grad():
        answers = cast.feed("teacher", images)
    assert (answers.argmax(1) == bank.labels).float().mean() > 0.8
    with torch.no_grad():
        test = cast.feed("student", DIGITS["test"].inputs.float() / 255)
    assert (test.argmax(1) == DIGITS["test"].labels).float().mean() > 0.2  # twice chance, without a sample of it


def test_every_group_has_targets_of_its_own_that_stay():
    record = UnitRecord(torch.zeros(1, 2), torch.zeros(1, 3))
    record.add(torch.tensor([0, 0, 1, 1]), torch.rand(4, 3))
    cast = Cast({"replays": Replays(torch.zeros(1, 2), torch.zeros(1, 3), size=6, group=3), "record_1": record})
    seen = {}
    for seed in range(8):
        batch = Replayed(records=("record_1",))(cast, None, torch.Generator().manual_seed(seed))
        key = next(k for k, images in enumerate(cast["replays"].images) if images is batch["inputs"])
        assert torch.equal(seen.setdefault(key, batch["record_1"]), batch["record_1"])
    assert set(seen) == {0, 1} and not torch.equal(seen[0], seen[1])


def test_taught_through_inputs_counts_in_the_taxonomy():
    from limbeck.catalogue.taxonomy import taxonomy

    made = find("records_all")()
    assert taxonomy(made).knowledge == "other parts"
    alone_distil = made.but(stages=(Stage("distil", (Update(("student",), made.stages[2].updates[0].terms),)),))
    assert taxonomy(alone_distil).knowledge == "soft labels"  # the same terms on given data
    assert taxonomy(find("zero_shot")()).knowledge == "soft labels"  # made of the teacher's answers alone


def test_codes_are_drawn_once_until_the_record_changes():
    record = UnitRecord(torch.zeros(1, 3), torch.zeros(1, 4))
    values, labels = torch.randn(60, 4, generator=torch.Generator().manual_seed(1)), torch.arange(60) % 3
    record.add(labels, values)
    first = record.drawn(labels[:9], 5)
    assert record.drawn(labels[:9], 5) is first
    assert torch.equal(first, record.draw(labels[:9], torch.Generator().manual_seed(5)))
    record.add(labels, values + 1)
    assert not torch.equal(record.drawn(labels[:9], 5), first)
    state = {k: v.clone() for k, v in record.state_dict().items()}
    other = UnitRecord(torch.zeros(1, 3), torch.zeros(1, 4))
    empty = other.drawn(labels[:9], 5)
    other.load_state_dict(state)
    assert torch.equal(other.drawn(labels[:9], 5), record.drawn(labels[:9], 5)) and not torch.equal(
        empty, other.drawn(labels[:9], 5)
    )
