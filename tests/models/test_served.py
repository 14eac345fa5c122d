"""A teacher behind an address: a real server on this machine, slow, busy, wrong or gone; asked once and counted."""

import json
import math
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from limbeck import models
from limbeck.__main__ import run
from limbeck.errors import UserError
from limbeck.models.served import Served

SMALL = ["--student", "mlp", "--set", "student.width=8", "--set", "onnx=false", "--quiet", "--epochs", "1", "--no-baseline"]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))
    monkeypatch.setattr("limbeck.models.served.time.sleep", lambda seconds: None)


@pytest.fixture
def serve():
    """Start a server whose answers a function makes of the body: (status, reply). Returns its address and the bodies it got."""
    servers = []

    def started(reply, path="/answer"):
        bodies = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                bodies.append({**body, "key": self.headers.get("Authorization")})
                status, answer = reply(body, len(bodies))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}{path}", bodies

    yield started
    for server in servers:
        server.shutdown()
        server.server_close()


def network():
    torch.manual_seed(0)
    return models.build("mlp", classes=10, shape=(1, 8, 8), arguments={"width": 16}).eval()


def test_the_student_is_the_one_that_the_network_itself_teaches_and_a_second_run_asks_nothing(serve, tmp_path):
    net = network()
    models.save_weights(net, tmp_path / "w.safetensors")

    def reply(body, count):
        with torch.no_grad():
            return 200, {"logits": net(torch.tensor(body["inputs"])).tolist()}

    address, bodies = serve(reply)
    live = ["--teacher", "mlp", "--set", "teacher.width=16", "--teacher-weights", "w.safetensors"]
    plain = ["--set", "teacher.mean=[0]", "--set", "teacher.std=[1]"]
    assert run(["distill", *live, *plain, *SMALL, "--method", "kd", "--out", "live"]) == 0
    assert run(["distill", "--teacher", address, *SMALL, "--set", "teacher.batch=100", "--out", "served"]) == 0
    one, two = (load_file(tmp_path / name / "student.safetensors") for name in ("live", "served"))
    assert all(torch.allclose(one[key], two[key], atol=1e-4) for key in one)
    card = json.loads((tmp_path / "served" / "card.json").read_text())
    assert (
        card["models"]["teacher"]["score"]
        == json.loads((tmp_path / "live" / "card.json").read_text())["models"]["teacher"]["score"]
    )
    assert card["models"]["teacher"]["parameters"] is None
    asked = sum(len(body["inputs"]) for body in bodies)
    assert f"answered {asked:,} samples in {len(bodies):,} requests (0 of them again)" in " ".join(card["notes"])
    bodies.clear()
    assert run(["distill", "--teacher", address, *SMALL, "--seed", "1", "--out", "again"]) == 0
    assert sum(len(body["inputs"]) for body in bodies) < 0.6 * asked, "the training samples came from the store"


def test_a_busy_service_is_asked_again_and_others_are_not(serve):
    address, bodies = serve(lambda body, count: (503, {}) if count < 3 else (200, {"probabilities": [[0.25, 0.75]]}))
    made = Served(address, ["a", "b"])
    assert torch.softmax(made(torch.zeros(1, 3)), 1).tolist()[0] == pytest.approx([0.25, 0.75], abs=1e-6)
    assert len(bodies) == 3 and "in 3 requests (2 of them again)" in made.words()
    address, bodies = serve(lambda body, count: (401, {}))
    with pytest.raises(UserError, match="answers 401"):
        Served(address, ["a", "b"])(torch.zeros(1, 3))
    assert len(bodies) == 1


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ({"probabilities": [[0.5, 0.5], [1.0, 0.0]]}, "answered 1 samples with"),
        ({"logits": "many"}, "expected probabilities, logits or labels"),
        ({"labels": ["owl"]}, "the label 'owl', no class of the data"),
        (b"<html>", "also after 1 more tries"),
        ({"logits": [[float("nan"), 0.0]]}, "NaN or infinity"),
    ],
)
def test_answers_that_do_not_fit_are_one_sentence(serve, reply, said):
    address, _ = serve(lambda body, count: (200, reply))
    with pytest.raises(UserError) as refused:
        Served(address, ["cat", "dog"], arguments={"retries": 1})(torch.zeros(1, 3))
    assert said in str(refused.value) and len(str(refused.value)) <= 300


@pytest.mark.parametrize("row", [[-1.0, 2.0], [91.0, 9.0]])
def test_probabilities_that_are_none_are_refused_and_not_clipped(serve, row):
    address, _ = serve(lambda body, _: (200, {"probabilities": [row for _ in body["inputs"]]}))
    with pytest.raises(UserError, match="negative or do not add up to 1"):
        Served(address, ["a", "b"])(torch.rand(3, 2))


def test_a_sample_is_asked_once_and_a_service_that_changed_is_noticed(serve):
    answers = {"share": 0.75}
    address, bodies = serve(
        lambda body, _: (200, {"probabilities": [[answers["share"], 1 - answers["share"]] for _ in body["inputs"]]})
    )
    rows = torch.arange(40.0).reshape(20, 2)
    first, asked = Served(address, ["a", "b"]), lambda: sum(len(body["inputs"]) for body in bodies)
    for part in (rows, rows[:10], rows[[3, 3]]):
        torch.testing.assert_close(first(part)[:, 0], torch.full((len(part),), 0.75).log())
    assert asked() == 20 == first.cost.samples
    second = Served(address, ["a", "b"])
    torch.testing.assert_close(second(rows), first(rows))
    assert asked() == 28, "eight known samples are asked again"
    answers["share"] = 0.5
    torch.testing.assert_close(Served(address, ["a", "b"])(rows)[:, 0], torch.full((20,), 0.5).log())


def test_who_is_not_there_is_named_and_settings_are_checked():
    with pytest.raises(UserError, match=r"http://127.0.0.1:9/x cannot be asked .* also after 0 more tries"):
        Served("http://127.0.0.1:9/x", ["a", "b"], arguments={"retries": 0})(torch.zeros(1, 3))
    with pytest.raises(UserError, match="no setting 'speed'"):
        Served("http://127.0.0.1:9/x", ["a", "b"], arguments={"speed": 3})
    with pytest.raises(UserError, match="is a chat, and the data are no texts"):
        Served("http://127.0.0.1:9/v1/chat/completions", ["a", "b"])


def reply_of(said, tokens=()):
    told = {"content": [{"token": said[:2], "top_logprobs": [{"token": t, "logprob": math.log(p)} for t, p in tokens]}]}
    return {"choices": [{"message": {"content": said}, "logprobs": told if tokens else None}], "usage": {"total_tokens": 20}}


def test_a_chat_tells_probabilities_of_its_first_token_or_names_a_class(serve, monkeypatch):
    replies = {
        "one": reply_of("positive", [("pos", 0.6), (" Neg", 0.2), ("positive", 0.1), ("x", 0.1)]),
        "two": reply_of("Negative."),
        "three": reply_of("I cannot say"),
    }
    address, bodies = serve(
        lambda body, count: (200, replies[body["messages"][0]["content"].rpartition(" ")[2]]), "/v1/chat/completions"
    )
    monkeypatch.setenv("MY_KEY", "s3cret")
    made = Served(address, ["negative", "positive"], ["one", "two", "three"], {"chat_model": "big", "key_from": "MY_KEY"})
    shares = torch.softmax(made(torch.arange(3)), 1).numpy()
    np.testing.assert_allclose(shares, [[2 / 9, 7 / 9], [0.999, 0.001], [0.5, 0.5]], atol=1e-6)
    assert "60 tokens" in made.words() and "1 replies named no class" in made.words()
    assert all(body["key"] == "Bearer s3cret" and body["model"] == "big" for body in bodies)
    assert "negative, positive" in bodies[0]["messages"][0]["content"]


def test_texts_go_out_as_they_were_read(serve, tmp_path, capsys):
    seen = []

    def reply(body, count):
        seen.extend(body["texts"])
        return 200, {"labels": ["good" if "Fine" in text else "bad" for text in body["texts"]]}

    address, _ = serve(reply)
    rows = [f"{'A Fine' if k % 2 else 'A dull'} film, number {k}!,{'good' if k % 2 else 'bad'}" for k in range(60)]
    (tmp_path / "films.csv").write_text(
        "\n".join(["text,label", *(f'"{r.rpartition(",")[0]}",{r.rpartition(",")[2]}' for r in rows)])
    )
    words = ["--data", "films.csv", "--teacher", address, "--student", "transformers:bert", "--epochs", "1", "--quiet"]
    sizes = ["hidden_size=8", "num_hidden_layers=1", "num_attention_heads=2", "intermediate_size=8", "max_position_embeddings=40"]
    sets = [f"student.{size}" for size in sizes]
    assert (
        run(["distill", *words, "--no-baseline", "--set", "onnx=false", *(w for s in sets for w in ("--set", s)), "--out", "r"])
        == 0
    )
    whole = {r.rpartition(",")[0] for r in rows}
    assert set(seen) <= whole and len(set(seen)) > 50, "the training and test texts, word for word"
    card = json.loads((tmp_path / "r" / "card.json").read_text())
    assert card["models"]["teacher"]["score"] == 1.0
    assert run(["distill", "--recipe", "r/recipe.toml", "--out", "s"]) == 2
    assert "would send the samples there" in capsys.readouterr().err
