"""Encoders without labels: figures against scipy, scikit-learn and naive loops, data of every kind, whole runs and what is left."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from typer.testing import CliRunner

import limbeck
from limbeck import data, losses, methods, models
from limbeck.cli.app import app
from limbeck.data import load
from limbeck.errors import UserError
from limbeck.metrics import embedding as metrics
from limbeck.models import encoders, save_weights
from limbeck.report.page import render
from limbeck.report.read import read_run
from limbeck.tasks import Embed, Predictions, task_of
from limbeck.tasks.bind import bind
from limbeck.tasks.embed import Embedded

RANDOM = torch.Generator().manual_seed(0)
FIRST = torch.randn(60, 5, generator=RANDOM)
SECOND = torch.cat([FIRST[:, :3], torch.randn(60, 4, generator=RANDOM)], 1)
CLASSES = (FIRST[:, 0] > 0).long() + (FIRST[:, 1] > 0.5).long()


def cosines(x):
    return np.array([[float(a @ b / (a.norm() * b.norm())) for b in x.double()] for a in x.double()])


# ------------------------------------------------------------------------------------------------ figures


def test_rank_correlation_is_scipys_over_all_pairs():
    pairs = [(i, j) for i in range(60) for j in range(i)]
    sides = [[value[i, j] for i, j in pairs] for value in map(cosines, (FIRST, SECOND))]
    assert metrics.rank_correlation(FIRST, SECOND) == pytest.approx(spearmanr(*sides).statistic, abs=1e-9)
    assert np.isnan(metrics.rank_correlation(FIRST, torch.ones(60, 3)))
    low, high = metrics.rank_interval(FIRST, SECOND)
    assert low < metrics.rank_correlation(FIRST, SECOND) < high and metrics.rank_interval(FIRST[:20], SECOND[:20]) is None


def test_same_neighbours_by_a_naive_loop():
    def near(x, k):
        value = cosines(x)
        return [set(sorted((j for j in range(60) if j != i), key=lambda j: -value[i, j])[:k]) for i in range(60)]

    for k in (1, 4):
        shares = [len(a & b) / k for a, b in zip(near(FIRST, k), near(SECOND, k), strict=True)]
        assert metrics.neighbour_agreement(FIRST, SECOND, neighbours=k) == pytest.approx(np.mean(shares))
    assert metrics.neighbour_agreement(FIRST, 7 * FIRST) == 1.0


def test_cka_by_gram_matrices():
    def centred(x):
        gram = (x.double() @ x.double().T).numpy()
        middle = np.eye(60) - 1 / 60
        return middle @ gram @ middle

    k, m = centred(FIRST), centred(SECOND)
    hsic = (k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum())  # Kornblith et al. 2019, Eq. 4, the other way to compute it
    assert metrics.linear_cka(FIRST, SECOND) == pytest.approx(hsic)
    turned = FIRST @ torch.linalg.qr(torch.randn(5, 5, generator=RANDOM))[0] * 3 + 7
    assert metrics.linear_cka(FIRST, turned) == pytest.approx(1.0)


def test_probe_and_neighbours_are_scikit_learns():
    known, asked = slice(0, 40), slice(40, 60)
    scaled = StandardScaler().fit(FIRST[known])
    probe = LogisticRegression(max_iter=5000, tol=1e-8).fit(scaled.transform(FIRST[known]), CLASSES[known])
    assert (
        metrics.probe_classes(FIRST[known], CLASSES[known], FIRST[asked]).tolist()
        == probe.predict(scaled.transform(FIRST[asked])).tolist()
    )
    votes = KNeighborsClassifier(7, metric="cosine", algorithm="brute", weights=lambda d: np.exp((1 - d) / 0.07))
    votes.fit(FIRST[known], CLASSES[known])
    found = metrics.neighbour_classes(FIRST[known], CLASSES[known], FIRST[asked], neighbours=7)
    assert found.tolist() == votes.predict(FIRST[asked]).tolist() and len(set(found.tolist())) > 1


def test_the_task_measures_against_teacher_or_what_it_met():
    index, labels = torch.arange(20, 60), CLASSES[20:]
    student = Predictions(SECOND[20:], labels, index, Predictions(SECOND[:20], CLASSES[:20], torch.arange(20)))
    teacher = Predictions(FIRST[20:], labels, index)
    about = Embed(neighbours=3, classes=3)
    found = about.measure(student, ["a", "b", "c"], teacher)
    assert found.score == pytest.approx(metrics.rank_correlation(SECOND[20:], FIRST[20:]))
    assert found.figures["neighbour_agreement"] == pytest.approx(
        metrics.neighbour_agreement(SECOND[20:], FIRST[20:], neighbours=3)
    )
    assert found.figures["cosine_to_teacher"] is None, "the widths differ"
    right = (metrics.probe_classes(SECOND[:20], CLASSES[:20], SECOND[20:]) == labels).double().mean()
    assert found.figures["probe_accuracy"] == pytest.approx(float(right))
    assert found.intervals["probe_accuracy"][0] < right < found.intervals["probe_accuracy"][1]
    shuffled = torch.randperm(40, generator=RANDOM)
    met = about.met([Predictions(FIRST[20:][shuffled], labels[shuffled], index[shuffled])])
    assert met.score(student) == found.score and met == about and met.settings() == {"neighbours": 3, "classes": 3}
    assert met.measure(Predictions(FIRST[20:] * 2, labels, index), ()).figures["cosine_to_teacher"] == pytest.approx(1.0)
    assert (
        about.measure(student, ()).score is None and met.measure(Predictions(FIRST, CLASSES, torch.arange(60)), ()).score is None
    )


def test_embeddings_are_found_in_what_encoders_return():
    maps = torch.arange(24.0).reshape(2, 3, 2, 2)
    assert torch.equal(Embedded()(maps), maps.mean((2, 3))) and torch.equal(Embedded()(maps.flatten(2)), maps.flatten(2).mean(1))
    assert torch.equal(Embedded()({"embedding": FIRST}), FIRST)
    with pytest.raises(UserError, match="an encoder must return a tensor"):
        Embedded()({"logits": FIRST})


# ------------------------------------------------------------------------------------------------ methods


def test_methods_keep_what_needs_no_labels():
    about = Embed()
    assert [str(t.name) for _, _, t in bind(methods.rkd(), about).terms()] == ["distance", "angle"]
    seed = bind(methods.seed_similarity(share=0.7), about)
    assert [stage.name for stage in seed.stages] == ["similarity"] and seed.stages[0].share == pytest.approx(1.0)
    assert len(bind(methods.seed_similarity(), task_of("classify")).stages) == 2
    for name, why in (
        ("kd", "softens probabilities"),
        ("dkd", "reads labels"),
        ("dist", "class prob"),
        ("alone", "labels alone"),
    ):
        with pytest.raises(UserError, match=f"'{name}'.*{why}.*embedding_match"):
            bind(methods.find(name)(), about)


def test_similarity_among_places_by_a_naive_loop():
    student, teacher = torch.randn(2, 4, 6, generator=RANDOM), torch.randn(2, 4, 3, generator=RANDOM)
    found = []
    for s, t in zip(student, teacher, strict=True):
        p, q = (np.exp(cosines(x) / 0.5) for x in (t, s))
        p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
        found.append((p * np.log(p / q)).sum(1).mean())
    assert losses.position_similarity(student, teacher, temperature=0.5).tolist() == pytest.approx(found, rel=1e-5)
    maps = torch.randn(2, 2, 2, 6, generator=RANDOM)
    larger = nn.functional.interpolate(maps.movedim(-1, 1), (4, 4), mode="bilinear").movedim(1, -1)
    goal = torch.randn(2, 4, 4, 3, generator=RANDOM)
    torch.testing.assert_close(losses.position_similarity(maps, goal), losses.position_similarity(larger, goal))


# ------------------------------------------------------------------------------------------------ data


DIGITS = load("digits")["train"].inputs.mul(15.9).byte()


def pictures(folder, count=40):
    """Handwritten digits as files."""
    folder.mkdir(parents=True)
    for k, one in enumerate(DIGITS[:count]):
        Image.fromarray(one[0].numpy()).save(folder / f"{k:03}.png")
    return DIGITS[:count]


def test_a_folder_of_pictures_without_classes(tmp_path):
    pixels = pictures(tmp_path / "all")
    found = load(str(tmp_path / "all"), task="embed")
    assert found.classes == () and {k: len(p) for k, p in found.partitions.items()} == {"train": 29, "validation": 3, "test": 8}
    every = torch.cat([p.inputs for p in found.partitions.values()])
    order = torch.cat([p.index for p in found.partitions.values()])
    assert torch.equal(every[order.argsort()], pixels) and bool((found["train"].labels == -100).all())
    with pytest.raises(UserError, match="pictures without classes.*data.task = embed"):
        load(str(tmp_path / "all"))
    pictures(tmp_path / "split" / "train"), pictures(tmp_path / "split" / "test", 5)
    assert len(load(str(tmp_path / "split"), task="embed")["test"]) == 5


def test_labels_judge_and_hidden_ones_stay_in_training(tmp_path):
    for name in ("cat", "dog"):
        pictures(tmp_path / "classes" / name, 20)
    pictures(tmp_path / "classes" / "unlabelled", 7)
    found = load(str(tmp_path / "classes"), task="embed", labelled=6, validation=0.1)
    train = found["train"].labels
    assert bool((found["test"].labels >= 0).all()), "unlabelled samples are never held out for testing"
    assert found.classes == ("cat", "dog") and len(train) == 7 + 29 and int((train >= 0).sum()) == 6
    assert len(found["train[labelled]"]) == 6 and "unlabelled" not in found.partitions and found.task.classes == 2
    assert any("only judge" in note for note in found.notes)


def test_arrays_files_and_texts_without_labels(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).random((30, 4)))
    assert load(str(tmp_path / "x.npz"), task="embed").classes == ()
    with pytest.raises(UserError, match="expected the keys x and y"):
        load(str(tmp_path / "x.npz"))
    (tmp_path / "text.txt").write_text("a fine film\n\nit is dull\n" * 10, encoding="utf-8")
    found = load(str(tmp_path / "text.txt"), task="embed")
    assert found.kind == "text" and sum(map(len, found.partitions.values())) == 20 and found.words
    (tmp_path / "t.csv").write_text("a,b\n" + "1,2\n3,5\n" * 10, encoding="utf-8")
    table = load(str(tmp_path / "t.csv"), task="embed")
    assert table.shape == (2,) and table.classes == ()
    assert load(str(tmp_path / "t.csv"), task="embed", label="b").classes == ("2", "5")
    (tmp_path / "t.jsonl").write_text(
        "".join(json.dumps({"text": f"film number {k}"}) + "\n" for k in range(20)), encoding="utf-8"
    )
    assert load(str(tmp_path / "t.jsonl"), task="embed").kind == "text"


class Bare(Dataset):
    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, row):
        return self.x[row]


def test_samples_from_python_without_labels():
    x = torch.rand(30, 3, 6, 6, generator=RANDOM)
    for given in (x, x.numpy(), TensorDataset(x), DataLoader(TensorDataset(x), 4), Bare(x), DataLoader(Bare(x), 4), list(x)):
        found = data.from_datasets(given, validation=0.2, task=Embed())
        assert found.classes == () and len(found["train"]) == 24 and bool((found["train"].labels == -100).all())
        batch = next(data.Batches(found["validation"], found, size=6, seed=0).ordered())
        assert torch.equal(batch["inputs"], x[found["validation"].index])
    judged = data.from_datasets((x, torch.arange(30) % 3), validation=0.2, task=Embed())
    assert judged.classes == ("0", "1", "2") and judged.task.classes == 3


# ------------------------------------------------------------------------------------------------ encoders


def test_heads_are_left_out_and_weights_fit_with_or_without(tmp_path):
    torch.manual_seed(0)
    whole, x = models.build("resnet8", classes=7, shape=(3, 16, 16)), torch.rand(2, 3, 16, 16)
    save_weights(whole, tmp_path / "whole.safetensors")
    encoder = encoders.build("resnet8", shape=(3, 16, 16))
    notes = models.load_weights(encoder, tmp_path / "whole.safetensors", head=encoders.HEADS[encoder])
    features = []
    whole.pool.register_forward_hook(lambda _, __, out: features.append(out))
    whole.eval()(x)
    torch.testing.assert_close(encoder.eval()(x), features[0])
    assert notes == ["the head 'linear' in whole.safetensors was left out"] and "linear.weight" not in encoder.state_dict()
    save_weights(encoder, tmp_path / "bare.safetensors")
    other = models.build("resnet8", classes=4, shape=(3, 16, 16))
    before = other.linear.weight.clone()
    with pytest.raises(UserError, match="weights of another network"):
        models.load_weights(other, tmp_path / "bare.safetensors")
    assert "drawn at random" in models.load_weights(other, tmp_path / "bare.safetensors", headless="linear")[0]
    assert torch.equal(other.linear.weight, before) and torch.equal(other.conv1.weight, whole.conv1.weight)
    with pytest.raises(UserError, match="no linear head"):
        encoders.build("unet", shape=(3, 16, 16))


def call(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output


def weights_of(place, data_path, channels=1):
    """A teacher of the shapes of the data, as good as random features are."""
    torch.manual_seed(1)
    save_weights(models.build("cnn", classes=5, shape=(channels, 8, 8), arguments={"width": 12}), place / "teacher.safetensors")
    return ["--data", data_path, "--task", "embed", "--teacher", "cnn", "--teacher-weights", place / "teacher.safetensors"]


def test_a_run_on_pictures_leaves_a_bare_encoder(tmp_path):
    pictures(tmp_path / "all", 300)
    words = weights_of(tmp_path, tmp_path / "all")
    words += ["--set", "teacher.arguments.width=12", "--student", "cnn", "--set", "student.arguments.width=6"]
    call("distill", *words, "--epochs", 6, "--batch", 16, "--out", tmp_path / "run")
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    student, baseline = (card["models"][who] for who in ("student", "baseline"))
    assert student["score"] > baseline["score"] and card["method"]["name"] == "embedding_match"
    assert baseline["steps"] is None and card["gain_percent"] is None and student["figures"]["probe_accuracy"] is None
    assert card["export"]["onnx"]["same_predictions"] == 1.0
    assert "Similarities of pairs" in render(read_run(tmp_path / "run"))
    net = limbeck.load(tmp_path / "run")
    picture = DIGITS[:1]
    found = limbeck.predict(tmp_path / "run", tmp_path / "all" / "000.png")[0]
    assert [found[f"e{k}"] for k in range(3)] == pytest.approx(net(picture)[0, :3].tolist(), rel=1e-4)
    assert f"{student['score']:.3f}"[:5] in call("evaluate", tmp_path / "run")
    for name in ("cat", "dog"):
        pictures(tmp_path / "classes" / name, 15)
    words = ["--data", tmp_path / "classes", "--teacher", "cnn", "--student", "cnn", "--set", "student.arguments.width=6"]
    said = call("distill", *words, "--student-weights", tmp_path / "run" / "student.safetensors", "--epochs", 1, "--no-onnx")
    assert "without its head 'linear', which is drawn at random" in " ".join(said.split())


def test_labels_train_the_baseline_alone_and_judge_all(tmp_path):
    for k, name in enumerate(("dark", "light")):
        folder = tmp_path / "classes" / name
        folder.mkdir(parents=True)
        for n in range(40):
            pixels = torch.randint(90 * k, 160 + 90 * k, (8, 8, 3), generator=RANDOM, dtype=torch.uint8)
            Image.fromarray(pixels.numpy()).save(folder / f"{n}.png")
    words = weights_of(tmp_path, tmp_path / "classes", channels=3)
    words += ["--set", "teacher.arguments.width=12", "--student", "cnn", "--set", "data.labelled=10", "--no-onnx"]
    for method in ("embedding_match", "seed_similarity", "global_local"):
        call("distill", *words, "--method", method, "--epochs", 3, "--batch", 16, "--out", tmp_path / method)
        card = json.loads((tmp_path / method / "card.json").read_text())
        figures = {who: model["figures"] for who, model in card["models"].items()}
        assert all(figures[who]["probe_accuracy"] > 0.9 for who in figures), "dark and light are told apart by any network"
        assert any("random weights: rank correlation" in note for note in card["notes"])
    assert (tmp_path / method / "weights" / "baseline.safetensors").exists()


def test_a_comparison_has_the_supervised_baseline(tmp_path):
    save_weights(models.build("cnn", classes=5, shape=(1, 8, 8), arguments={"width": 12}), tmp_path / "teacher.safetensors")
    words = ["--data", "digits", "--task", "embed", "--set", "data.labelled=40", "--teacher", "cnn", "--student", "cnn"]
    words += ["--teacher-weights", tmp_path / "teacher.safetensors", "--set", "teacher.arguments.width=12", "--epochs", 1]
    call("compare", *words, "--methods", "embedding_match,rkd", "--seeds", 1, "--out", tmp_path / "board")
    board = json.loads((tmp_path / "board" / "leaderboard.json").read_text())
    figures = {row["name"]: row["figures"] for row in board["rows"]}
    assert set(figures) == {"baseline", "embedding_match", "rkd"} and all(f["probe_accuracy"] > 0.2 for f in figures.values())


def test_shipped_projectors_stand_in_for_the_teacher(tmp_path):
    x = DIGITS[:300]
    torch.manual_seed(0)
    net = lambda width: nn.Sequential(nn.Conv2d(1, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())  # noqa: E731
    result = limbeck.distill(
        net(9),
        net(4),
        x,
        task="embed",
        method=methods.embedding_match("squared", ship=9),
        epochs=20,
        lr=0.1,
        out=tmp_path / "run",
    )
    assert result.student(x[:2] / 255).shape == (2, 9) and result.card["models"]["student"]["figures"]["cosine_to_teacher"] > 0.9
    with pytest.raises(UserError, match="embed, which needs none"):
        limbeck.distill(net(9), net(4), x)
    with pytest.raises(UserError, match="no labels train an encoder"):
        limbeck.distill(None, net(4), x, task="embed", method=methods.embedding_match())
