"""Students cut to a budget: which cut it comes to, that the same is found again, and what is refused."""

import pytest
from torch import nn

from limbeck.errors import UserError
from limbeck.face.run import run
from limbeck.runs import sizing
from limbeck.runs.recipes import load, make
from limbeck.runs.sizing import largest, sized
from limbeck.shrinking.candidates import usual


class Own(nn.Module):
    """A user's: five blocks of equal layers."""

    def __init__(self, classes=10, width=8):
        super().__init__()
        self.stem = nn.Linear(64, width)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(width, width), nn.Tanh()) for _ in range(5))
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.stem(x.flatten(1))
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


OWN = "test_sizing:Own"
SMALL = {"data": {"name": "digits", "limit": 60}, "train": {"epochs": 1}, "store": {"use": False}, "onnx": False, "device": "cpu"}


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.syspath_prepend(str(__import__("pathlib").Path(__file__).parent))


def asked(budget, model=OWN, **more):
    return make(
        {**SMALL, "teacher": {"model": model, "arguments": more.pop("arguments", {})}, "student": {"model": budget}, **more}
    )


def test_the_largest_is_found_with_few_questions():
    costs = {f"{k}": 100 - 10 * k for k in range(10)}
    questions = []

    def cost(cut):
        questions.append(cut)
        return costs[cut["name"]]

    cuts = [{"name": name} for name in costs]
    for limit, wanted in ((100, "0"), (90, "1"), (45, "6"), (10, "9")):
        questions.clear()
        assert largest(cuts, cost, limit) == ({"name": wanted}, costs[wanted]) and len(questions) <= 5
    assert largest(cuts, cost, 9) == (None, 10)


def test_parameters_are_met_by_depth_first():
    count = {blocks: 64 * 8 + 8 + blocks * (8 * 8 + 8) + 8 * 10 + 10 for blocks in range(1, 6)}
    recipe, data = sized(asked(f"pieces:parameters={count[3]}"))
    assert recipe.student.arguments["depth"] == 0.6 and "width" not in recipe.student.arguments and data is not None
    assert sum(p.numel() for p in recipe.student.build("student", data, 0)[0].parameters()) == count[3]
    assert sized(asked(f"pieces:parameters={count[3] - 1}"))[0].student.arguments["depth"] == 0.4
    assert recipe.student.start == "teacher" and sized(recipe) == (recipe, None)


def test_widths_follow_where_depth_is_not_enough():
    pytest.importorskip("torch_pruning", reason='Torch-Pruning is not installed; pip install "limbeck[prune]"')
    recipe, data = sized(asked("pieces:parameters=400"))
    cut = recipe.student.arguments
    counts = {w: sum(p.numel() for p in _built(recipe, data, w).parameters()) for w in sizing.WIDTHS}
    assert cut["depth"] == 0.2 and cut["width"] == max(w for w, n in counts.items() if n <= 400)


def _built(recipe, data, width):
    kept = {k: v for k, v in recipe.student.arguments.items() if k != "parameters"}
    return recipe.student.model_copy(update={"arguments": {**kept, "width": width}}).build("student", data, 0)[0]


def test_a_run_keeps_its_cut_and_goes_on_with_it(tmp_path, monkeypatch):
    recipe = asked("pieces:latency=1s", baseline=False)
    monkeypatch.setattr(sizing, "_cost", lambda budget, module, *_: 500.0 * len(module.blocks))  # 2.5 s in all
    card = run(recipe, tmp_path / "run")
    assert "depth=0.4 latency=1s" in card["models"]["student"]["model"]
    monkeypatch.setattr(sizing, "_cost", lambda *_: pytest.fail("it is known"))
    again, _ = sized(recipe, begun=tmp_path / "run")
    assert again.student == make(load(tmp_path / "run" / "recipe.toml")).student


def test_sizes_are_those_of_the_onnx_file():
    recipe, data = sized(asked("pieces:size=60kB", arguments={"width": 64}))
    module, adapter = recipe.student.build("student", data, 0)
    size = sizing._cost("size", module, adapter, data["train"].inputs[:2])
    assert 40_000 < size <= 60_000  # blocks of 16.6 kB; one more would be too many


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("pieces:parameters=10:depth=0.5", "give one of parameters, size, latency alone"),
        ("pieces:parameters=9000", "nothing to cut"),
        ("pieces:size=many", "expected a number above 0 with a unit"),
        ("pieces:choose=first", "pieces:latency=2ms"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(words, said):
    with pytest.raises(UserError, match=said) as found:
        sized(asked(words))
    assert len(str(found.value)) <= 300


def test_a_search_considers_pieces_of_a_teacher_of_the_users_own():
    recipe = asked("pieces:depth=0.5")
    data = recipe.data.load()
    found = [c for c in usual(data, recipe.teacher) if c.from_teacher]
    assert [c.name for c in found[:3]] == [f"pieces:depth={d} from teacher" for d in (0.75, 0.5, 0.25)]
    assert [len(candidate.build(data).blocks) for candidate in found[:3]] == [4, 2, 1]
