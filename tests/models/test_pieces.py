"""Students cut out of networks: what stays, against the same blocks run by hand; by name, in files, in runs."""

import pytest
import torch
from torch import nn

import limbeck
from limbeck.data import Batches, load
from limbeck.deploy.student import load_student
from limbeck.errors import UserError
from limbeck.face.run import run
from limbeck.models import build
from limbeck.models.pieces import estimate_again, piece, pieces, with_sizes
from limbeck.models.stacks import stacks
from limbeck.runs.recipes import dump, make
from limbeck.runs.recipes import load as read_toml
from limbeck.tasks.predictions import predict

X = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
WORDS = torch.randint(5, 60, (2, 9), generator=torch.Generator().manual_seed(0))
SMALL = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24, "vocab_size": 64, "pad_token_id": 0}


def net(name="resnet20"):
    torch.manual_seed(1)
    found = build(name, classes=10, shape=(3, 32, 32))
    found(X)
    return found.eval()


def test_a_resnet_keeps_the_blocks_that_were_chosen():
    teacher = net()
    for layers, kept in ((1, [0]), (2, [0, 2]), (3, [0, 1, 2])):
        student = pieces(teacher, layers=layers)
        x = teacher.relu(teacher.bn1(teacher.conv1(X)))
        for stage in (teacher.layer1, teacher.layer2, teacher.layer3):
            for k in kept:
                x = stage[k](x)
        torch.testing.assert_close(student(X), teacher.linear(teacher.pool(x)), rtol=0, atol=0)
    assert len(net().layer1) == 3 and not any(a is b for a in teacher.parameters() for b in student.parameters())
    last = pieces(teacher, layers=2, choose="last")
    assert torch.equal(last.layer1[0].conv1.weight, teacher.layer1[1].conv1.weight)
    assert torch.equal(last.layer2[0].conv1.weight, teacher.layer2[0].conv1.weight), "the block that halves stays"
    assert sum(p.numel() for p in pieces(teacher, depth=0.3).parameters()) == 75_290  # a ResNet-8


class Own(nn.Module):
    """A user's: blocks in a ModuleList, and a list of heads that is no stack."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(6, 6), nn.Tanh()) for _ in range(5))
        self.heads = nn.ModuleList(nn.Linear(6, 2) for _ in range(2))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return sum(head(x) for head in self.heads)


def test_a_network_of_a_users_own():
    torch.manual_seed(0)
    teacher, x = Own(), torch.rand(3, 6)
    student = limbeck.pieces(teacher, depth=0.6)
    by_hand = x
    for k in (0, 2, 4):
        by_hand = teacher.blocks[k](by_hand)
    assert torch.equal(student(x), teacher.heads[0](by_hand) + teacher.heads[1](by_hand))


def transformer(kind):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    if kind == "bert":
        return transformers.BertForSequenceClassification(transformers.BertConfig(num_hidden_layers=5, **SMALL))
    if kind == "distilbert":
        own = {"dim": 16, "n_heads": 2, "hidden_dim": 24, "n_layers": 5, "vocab_size": 64}
        return transformers.DistilBertForSequenceClassification(transformers.DistilBertConfig(**own))
    if kind == "gpt2":
        own = {"n_embd": 16, "n_head": 2, "n_layer": 5, "vocab_size": 64, "bos_token_id": 1, "eos_token_id": 1}
        return transformers.GPT2LMHeadModel(transformers.GPT2Config(**own))
    if kind == "qwen2":
        types = ["full_attention", "sliding_attention", "full_attention", "sliding_attention", "full_attention"]
        own = {"num_hidden_layers": 5, "num_key_value_heads": 1, "layer_types": types, "use_sliding_window": True}
        return transformers.Qwen2ForCausalLM(transformers.Qwen2Config(sliding_window=3, **own, **SMALL))
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(num_hidden_layers=5, num_key_value_heads=1, **SMALL))


@pytest.mark.parametrize("kind", ["bert", "distilbert", "gpt2", "llama", "qwen2"])
def test_models_of_transformers_get_a_configuration_that_says_so(kind, tmp_path):
    teacher = transformer(kind).eval()
    (stack,) = stacks(teacher)
    student = pieces(teacher, layers=3)
    assert type(student) is type(teacher) and student.config.num_hidden_layers == 3 and teacher.config.num_hidden_layers == 5
    head, _, name = stack.path.rpartition(".")
    by_hand = transformer(kind).eval()
    blocks = [by_hand.get_submodule(stack.path)[k] for k in (0, 2, 4)]
    setattr(by_hand.get_submodule(head), name, nn.ModuleList(blocks))
    if kind == "qwen2":
        assert student.config.layer_types == ["full_attention"] * 3
    by_hand.config = student.config
    for part in by_hand.modules():
        if hasattr(part, "config"):
            part.config = student.config
    with torch.no_grad():
        ours, theirs = student(WORDS).logits, by_hand(WORDS, **({"use_cache": False} if "bert" not in kind else {})).logits
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
        student.save_pretrained(tmp_path / "folder")
        again = type(teacher).from_pretrained(tmp_path / "folder").eval()
        torch.testing.assert_close(again(WORDS).logits, ours, rtol=0, atol=0)
        if "bert" not in kind:  # the cache counts layers from 0
            longer = student.generate(WORDS, max_new_tokens=3, do_sample=False, pad_token_id=0)
            assert torch.equal(longer[:, 9], ours[:, -1].argmax(-1))
    assert any(p.requires_grad for p in student.parameters()) and not student.training


def test_a_configuration_that_cannot_say_it_is_refused():
    transformers = pytest.importorskip("transformers")
    teacher = transformer("bert")
    teacher.config.num_hidden_layers = 7  # counts otherwise than its layers
    with pytest.raises(UserError, match="the configuration of BertForSequenceClassification does not say how many layers it has"):
        pieces(teacher, layers=2)
    assert transformers


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "say how much: layers, depth or width"),
        ({"layers": 1, "depth": 0.5}, "give either layers"),
        ({"layers": 4}, "layer1 has 3 blocks; keep 1 to 3 of them, not 4"),
        ({"depth": 1.5}, "depth is a share of the blocks above 0 and at most 1, not 1.5"),
        ({"layers": 1, "choose": "best"}, "choose is equal, first or last, not 'best'"),
    ],
)
def test_what_cannot_be_cut_is_refused(settings, said):
    with pytest.raises(UserError, match=said):
        pieces(net(), **settings)
    with pytest.raises(UserError, match="CNN shows no repeated blocks"):
        pieces(build("cnn", classes=2, shape=(1, 8, 8)), layers=1)


def test_statistics_are_estimated_again_as_a_mean_over_batches():
    student = pieces(net(), layers=1)
    batches = X.split(2)
    estimate_again(student, (student(x) for x in batches))
    inputs = student.conv1(X).detach()
    expected = torch.stack([part.mean((0, 2, 3)) for part in inputs.split(2)]).mean(0)
    torch.testing.assert_close(student.bn1.running_mean, expected)
    spread = torch.stack([part.transpose(0, 1).flatten(1).var(1) for part in inputs.split(2)]).mean(0)
    torch.testing.assert_close(student.bn1.running_var, spread)
    assert student.bn1.momentum == 0.1 and not student.training and not student.bn1.training


def test_words_become_settings_that_a_file_keeps(tmp_path):
    recipe = make(
        {"teacher": {"model": "resnet20", "mean": [0.4], "std": [0.3]}, "student": {"model": "pieces:layers=1:choose=first"}}
    )
    own = recipe.student
    assert own.start == "teacher" and own.mean == (0.4,) and own.called == "resnet20 cut to layers=1 choose=first"
    assert own.arguments == {"model": "resnet20", "arguments": {}, "layers": 1, "choose": "first"} and not recipe.programs
    (tmp_path / "recipe.toml").write_text(dump(recipe))
    assert make(read_toml(tmp_path / "recipe.toml")) == recipe
    assert make({"student": {"model": "pieces:depth=0.5", "start": "random"}}).student.start == "random"
    for model, said in (
        ("pieces", "needs to know how much"),
        ("pieces:4", "write pieces:layers=4"),
        ("pieces:layer=4", "did you mean"),
        ("pieces:layers=x", "layers cannot be 'x'"),
    ):
        with pytest.raises(UserError, match=said):
            make({"student": {"model": model}})
    with pytest.raises(UserError, match="shows no layers"):
        make({"student": {"model": "pieces:layers=1"}, "teacher": {"model": "net.onnx"}})
    assert make({"student": {"model": "pieces:layers=1"}, "teacher": {"model": "mine:net"}}).programs


def test_a_run_and_its_files(tmp_path):
    settings = {"teacher": {"model": "resnet14"}, "student": {"model": "pieces:layers=1"}, "train": {"epochs": 0.5}}
    data = load("digits", limit=300)
    card = run(make(settings), tmp_path / "run", data=data)
    assert card["models"]["student"]["parameters"] < card["models"]["teacher"]["parameters"] and card["export"]["onnx"]
    assert "the student starts from its teacher: 15 of 15 layers, 100 % of its parameters" in card["notes"]
    student, info = load_student(tmp_path / "run")
    assert info["roles"]["student"]["arguments"]["model"] == "resnet14"
    seen = predict(student, Batches(data.judged, data, size=256, seed=0).ordered(), data.task)
    assert data.task.score(seen) == card["models"]["student"]["score"]
    again = run(make(settings), tmp_path / "again", data=data)
    assert again["models"]["student"]["score"] == card["models"]["student"]["score"] and student.training is False


def test_a_narrower_model_of_transformers_is_a_choice_of_channels():
    """Heads stay as many: of 2 heads of 8, every second channel is 2 heads of 4."""
    for kind in ("bert", "llama"):
        teacher = transformer(kind).eval()
        student = pieces(teacher, width=0.5, layers=2)
        config = student.config
        assert (config.hidden_size, config.intermediate_size, config.num_attention_heads, config.num_hidden_layers) == (
            8,
            12,
            2,
            2,
        )
        body, whole = (net.bert if kind == "bert" else net.model for net in (student, teacher))
        first, old = (b.encoder.layer[1] if kind == "bert" else b.layers[1] for b in (body, whole))
        there = whole.encoder.layer[4] if kind == "bert" else whole.layers[4]
        mine, theirs = (
            (layer.attention.self.query if kind == "bert" else layer.self_attn.q_proj).weight for layer in (first, there)
        )
        assert torch.equal(mine, theirs[::2, ::2]) and old is not there
        assert student(WORDS).logits.shape == teacher(WORDS).logits.shape
    with pytest.raises(UserError, match="width is a share of the channels"):
        pieces(transformer("bert"), width=1.5)


def test_the_most_active_channels_stay():
    """A network of two convolutions in which half of the channels give nothing: cut to half it answers the same."""
    pytest.importorskip("torch_pruning")
    torch.manual_seed(0)
    teacher = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16, 4)
    ).eval()
    with torch.no_grad():
        for conv, dead in ((teacher[0], [0, 3, 4, 6]), (teacher[2], [1, 2, 5])):
            conv.weight[dead], conv.bias[dead] = 0.0, 0.0
    x = torch.rand(5, 3, 8, 8)
    student = pieces(teacher, width=0.5, probe=[x, x + 1])
    assert student[0].out_channels == 4 and student[2].weight.shape == (3, 4, 3, 3)
    assert torch.equal(student[0].weight, teacher[0].weight[[1, 2, 5, 7]])
    torch.testing.assert_close(student(x), teacher(x))
    assert all(p.requires_grad for p in student.parameters())
    with pytest.raises(UserError, match="width needs probe"):
        pieces(teacher, width=0.5)


@pytest.mark.parametrize("name", ["resnet20", "mobilenetv2", "resnet8x4"])
def test_a_narrow_student_is_rebuilt_from_its_sizes_alone(name, monkeypatch):
    pytest.importorskip("torch_pruning")
    torch.manual_seed(0)
    own = {"model": name, "arguments": {}, "width": 0.5}
    student = piece(10, (3, 32, 32), **own).eval()
    assert sum(p.numel() for p in student.parameters()) < 0.45 * sum(p.numel() for p in net(name).parameters())
    kept = with_sizes(own, student, 10, (3, 32, 32))
    monkeypatch.setitem(__import__("sys").modules, "torch_pruning", None)
    again = piece(10, (3, 32, 32), **kept)
    again.load_state_dict(student.state_dict())
    assert repr(again) == repr(student) and torch.equal(again.eval()(X), student(X))
    with pytest.raises(UserError, match=r"pip install \"limbeck\[prune\]\""):
        piece(10, (3, 32, 32), **own)


def test_a_run_with_a_narrow_student(tmp_path):
    pytest.importorskip("torch_pruning")
    settings = {"teacher": {"model": "resnet8"}, "student": {"model": "pieces:width=0.5"}, "train": {"epochs": 1}, "onnx": False}
    data = load("digits", limit=300)
    card = run(make(settings), tmp_path / "run", data=data)
    assert card["models"]["student"]["parameters"] < 0.6 * card["models"]["teacher"]["parameters"]
    assert any(note.endswith("with the most active channels") for note in card["notes"])
    assert {row["how"] for row in card["start"]} >= {"8 of 16 outputs by mean activation"}
    student, _ = load_student(tmp_path / "run")
    seen = predict(student, Batches(data.judged, data, size=256, seed=0).ordered(), data.task)
    assert data.task.score(seen) == card["models"]["student"]["score"]
