"""Folders and files of strangers that try to run code, or to become markup of a page or control of a terminal.

    python -m bench.attacks [--every K]

Each attack is made from one small run: a file of it is changed as a stranger would, then a command is called that
opens it. It succeeds where the stranger's code leaves a file behind, where a page has an element or attribute that the
stranger wrote, or where the terminal gets a control character of his. Prints the number of attacks and of those that
succeeded, each by name; the exit code is 1 where one did.
"""

import argparse
import contextlib
import io
import json
import os
import pickle
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

EVIL = """
import os
from torch import nn
open(os.environ["LIMBECK_OWNED"], "w").close()
def net(**arguments): return nn.Linear(64, 10)
"""
CONFIG = """
import os
open(os.environ["LIMBECK_OWNED"], "w").close()
from transformers import PretrainedConfig
class Evil(PretrainedConfig): model_type = "evil"
"""
TINY = ["--epochs", "1", "--batch", "64", "--teacher", "mlp", "--student", "mlp", "--set", "student.width=4",
        "--set", "data.limit=100", "--no-baseline", "--quiet"]  # fmt: skip
LIVE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'


@dataclass(frozen=True)
class Attack:
    """Its name, what it changes in a copy of the run, and the command that opens it."""

    name: str
    change: Callable[[Path], None]
    words: tuple[str, ...]

    def succeeds(self, base: Path, place: Path) -> str:
        """What it reached, "" where it was held."""
        run, owned = place / "run", place / "owned"
        shutil.copytree(base, run)
        os.environ["LIMBECK_OWNED"] = str(owned)
        self.change(run)
        words = [word.replace("RUN", str(run)).replace("PLACE", str(place)) for word in self.words]
        before = set(sys.modules)
        said = called(words, run)
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in ("evil", "stranger"):
                del sys.modules[name]
        if owned.exists():
            return "its code ran"
        if "Traceback" in said:
            return f"a traceback: {said.strip().splitlines()[-1]}"
        if any(mark in said for mark in "\x1b\x9b\x07\u202e"):
            return "the terminal got control characters"
        pages = [page for page in run.glob("*.html") if page.stat().st_mtime_ns > (base / "report.html").stat().st_mtime_ns]
        card = run / "MODEL_CARD.md"
        if card.exists() and "<img" in card.read_text().partition("```bash")[0]:
            return "markup in the model card"
        return next((why for page in pages if (why := live(page.read_text(encoding="utf-8")))), "")


def called(words: list[str], run: Path) -> str:
    """What a command says, run in the folder above the run, where a stranger's modules may lie."""
    from limbeck.__main__ import run as command

    here, out = Path.cwd(), io.StringIO()
    os.chdir(run.parent)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            command(words)
    except SystemExit:
        pass
    except BaseException:  # noqa: BLE001  (what a command lets through is a finding)
        out.write(traceback.format_exc())
    finally:
        os.chdir(here)
    return out.getvalue()


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def live(html: str) -> str:
    """What of a page is a stranger's: a second script, a handler, an address, an element that ours have not; else ""."""
    parsed = _Tags()
    parsed.feed(html)
    if sum(tag == "script" for tag, _ in parsed.tags) != 1:
        return "a script on a page"
    for tag, attributes in parsed.tags:
        if tag in ("iframe", "object", "embed", "foreignobject", "base", "form", "use", "animate", "set"):
            return f"<{tag}> on a page"
        if any(key.startswith("on") or "formaction" in key for key in attributes):
            return f"a handler on <{tag}>"
        addresses = [attributes.get("src"), attributes.get("href"), attributes.get("xlink:href")]
        if any(a and not a.startswith(("data:image/png", "data:,", "#")) for a in addresses):
            return f"an address on <{tag}>"
    return ""


# ------------------------------------------------------------------------------------------ what strangers change


def student(model: str, /, **arguments: object) -> Callable[[Path], None]:
    """Name another model in student.json."""

    def change(run: Path) -> None:
        _modules(run.parent)
        _edit(run / "student.json", lambda facts: facts["roles"]["student"].update(model=model, arguments=_placed(arguments)))

    return change


def recipe(model: str, role: str = "student", /, **arguments: object) -> Callable[[Path], None]:
    """Name another model in recipe.toml, for a role."""

    def change(run: Path) -> None:
        import tomllib

        import tomli_w

        _modules(run.parent)
        found = tomllib.loads((run / "recipe.toml").read_text())
        group = found if role in ("teacher", "student") else found.setdefault("roles", {})
        group[role] = {"model": model, "arguments": _placed(arguments)}
        (run / "recipe.toml").write_text(tomli_w.dumps(found))

    return change


def _modules(place: Path) -> None:
    (place / "evil.py").write_text(EVIL)
    (place / "stranger").mkdir()
    (place / "stranger" / "__init__.py").write_text(EVIL)
    (place / "quiet.py").write_text("from subprocess import check_output\n")
    folder = place / "hub"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": {"AutoConfig": "evil_config.Evil"}}))
    (folder / "evil_config.py").write_text(CONFIG)


def _placed(arguments: object) -> object:
    if isinstance(arguments, dict):
        return {key: _placed(value) for key, value in arguments.items()}
    if isinstance(arguments, list):
        return [_placed(value) for value in arguments]
    return arguments.replace("OWNED", os.environ["LIMBECK_OWNED"]) if isinstance(arguments, str) else arguments


def _edit(path: Path, change: Callable[[dict], object]) -> None:
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))


class _Touch:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {os.environ['LIMBECK_OWNED']}",)


def pickled(name: str) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_bytes(pickle.dumps(_Touch()))

    return change


def written(name: str, text: str) -> Callable[[Path], None]:
    return lambda run: (run / name).write_text(text)


def edited(name: str, change: Callable[[dict], object]) -> Callable[[Path], None]:
    return lambda run: _edit(run / name, change)


def pte(run: Path) -> None:
    import hashlib

    (run / "student.pte").write_bytes(b"\x00\x00\x00\x00ET12" + bytes(200))
    digest = hashlib.sha256((run / "student.pte").read_bytes()).hexdigest()
    row = {"format": "executorch", "precision": "float32", "file": "student.pte", "bytes": 208, "sha256": {"student.pte": digest}}
    (run / "exports.json").write_text(json.dumps({"version": 1, "data": "digits", "rows": [row]}))


def bundle(run: Path) -> None:
    """A transformers folder whose weights are a pickle."""
    folder = run.parent / "hub"
    folder.mkdir()
    small = {"model_type": "bert", "vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
             "intermediate_size": 8, "architectures": ["BertForSequenceClassification"]}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(small))
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(_Touch()))


def kernels(run: Path) -> None:
    bundle(run)
    (run.parent / "hub" / "pytorch_model.bin").unlink()
    _edit(run.parent / "hub" / "config.json", lambda facts: facts.update(attn_implementation="stranger/kernel"))


# ------------------------------------------------------------------------------------------ the list

TOUCH = {"args": ["touch", "OWNED"]}
NAMES: tuple[tuple[str, dict[str, object]], ...] = (
    ("evil:net", {}), ("stranger:net", {}), ("quiet:check_output", TOUCH), ("subprocess:check_output", TOUCH),
    ("os:system", {"command": "touch OWNED"}), ("builtins:exec", {"source": "open('owned', 'w')"}),
    ("runpy:run_path", {"path_name": "evil.py"}), ("importlib:import_module", {"name": "evil"}), ("torch:load", {"f": "x"}),
    ("torch.hub:load", {"repo_or_dir": ".", "model": "evil", "source": "local"}),
    ("limbeck.models:build", {"name": "evil:net", "shape": [64]}), ("limbeck.models.outside:find", {"name": "evil:net"}),
    ("limbeck.models.resized:Resized", {"model": "evil:net", "size": 4}), ("python object:net", {}), ("timm:../evil", {}),
)  # fmt: skip
COMMANDS = (
    ("evaluate", "RUN"), ("export", "RUN"), ("export", "RUN", "--format", "torch", "--int8"), ("web", "RUN", "--no-serve"),
    ("explain", "RUN", "--seeds", "0"),
)  # fmt: skip
RECIPES = (
    ("distill", "--recipe", "RUN/recipe.toml", "--out", "PLACE/again", "--quiet"), ("plan", "--recipe", "RUN/recipe.toml"),
    ("compare", "--recipe", "RUN/recipe.toml", "--methods", "kd", "--seeds", "1", "--out", "PLACE/again", "--quiet"),
    ("shrink", "--recipe", "RUN/recipe.toml", "--trials", "1", "--out", "PLACE/again", "--quiet"),
)  # fmt: skip
SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"{0}>{1}</svg>'
DRAWINGS = (
    SVG.format("", "<text><![CDATA[</text></svg><img src=x onerror=alert(1)>]]></text>"),
    SVG.format("", "<?x --><img src=x onerror=alert(1)>?>"),
    SVG.format("", "<!-- --><img src=x onerror=alert(1)/><!-- -->"),
    SVG.format(' onload="alert(1)"', ""),
    SVG.format("", "<script>alert(1)</script>"),
    SVG.format("", "<foreignObject><body onload='alert(1)'/></foreignObject>"),
    SVG.format("", "<a xlink:href='javascript:alert(1)'><text>x</text></a>"),
    SVG.format("", "<g><animate attributeName='href' values='javascript:alert(1)'/></g>"),
    SVG.format("", "<rect fill='url(http://x.org/a)'/>"),
    SVG.format("", "<style>@import 'http://x.org/a.css';</style>"),
    SVG.format("", "<style></style><style>*{background:url(//x.org)}&lt;/style>&lt;img src=x onerror=alert(1)></style>"),
    SVG.format("", "<rect class='a&quot; onclick=&quot;alert(1)'/>"),
    SVG.format("", "<g id='theme'/>"),
    SVG.format("", "<x:script xmlns:x='http://www.w3.org/2000/svg'>alert(1)</x:script>"),
    '<!DOCTYPE svg [<!ENTITY x "<script>alert(1)</script>">]><svg xmlns="http://www.w3.org/2000/svg"><text>&x;</text></svg>',
    '<?xml-stylesheet href="http://x.org/a.css"?><svg xmlns="http://www.w3.org/2000/svg"/>',
)


def attacks() -> Iterator[Attack]:
    """All of them; names are told apart."""
    for model, arguments in NAMES:
        yield Attack(f"student.json names {model}: evaluate", student(model, **arguments), ("evaluate", "RUN"))
        yield Attack(f"recipe names {model}: plan", recipe(model, **arguments), RECIPES[1])
        if model.startswith(("evil", "stranger:")):
            continue  # with --trust they run, as asked
        if model == "limbeck.models.resized:Resized":
            deep = student(model, model=model, arguments=arguments, size=4)
            yield Attack("Resized around Resized", deep, ("evaluate", "RUN"))
        else:
            yield Attack(
                f"student.json names {model}: evaluate --trust", student(model, **arguments), ("evaluate", "RUN", "--trust")
            )
    for words in COMMANDS:
        yield Attack(f"student.json names evil:net: {' '.join(words)}", student("evil:net"), words)
        yield Attack(f"recipe.toml names evil:net: {' '.join(words)}", recipe("evil:net"), words)
    for words in RECIPES:
        for role in ("teacher", "student", "peer"):
            yield Attack(f"a recipe's {role} is evil:net: {words[0]}", recipe("evil:net", role), words)
    hub = f"transformers:{'PLACE'}/hub"
    for spelt in ({"trust_remote_code": True}, {"trust_remote_code": 1}, {"trust_remote_code": "true"}, {"a": {"trust_remote_code": True}},
                  {"trust_remote_code": True, "code_revision": "main"}):  # fmt: skip
        yield Attack(f"a transformers folder with {spelt}", _at_hub(spelt), ("plan", "--recipe", "RUN/recipe.toml"))
    yield Attack("a transformers folder's own code", _at_hub({}), ("plan", "--recipe", "RUN/recipe.toml"))
    yield Attack(
        "a transformers folder's own code, typed", lambda run: _modules(run.parent), ("plan", *TINY[:-2], "--student", hub)
    )
    yield Attack("pickled weights of a transformers folder", bundle, ("plan", "--student", hub))
    yield Attack("a kernel of a transformers folder", kernels, ("plan", "--student", hub))
    for name in ("student.safetensors", "weights/student.safetensors", "weights/teacher.safetensors", "predictions.safetensors"):
        for words in (("evaluate", "RUN"), ("explain", "RUN", "--seeds", "0"), ("report", "RUN")):
            yield Attack(f"{name} is a pickle: {words[0]}", pickled(name), words)
    yield Attack("student.pt2 is a pickle", pickled("student.pt2"), ("measure", "RUN/student.pt2"))
    yield Attack("student.onnx is a pickle", pickled("student.onnx"), ("measure", "RUN/student.onnx"))
    yield Attack("a .pte in the manifest", pte, ("measure", "RUN"))
    yield Attack("a .pte by name", pte, ("measure", "RUN/student.pte"))
    for number, text in enumerate(DRAWINGS):
        yield Attack(f"method.svg {number}", written("method.svg", text), ("report", "RUN"))
    yield from _texts()


def _at_hub(spelt: dict[str, object]) -> Callable[[Path], None]:
    return lambda run: recipe(f"transformers:{run.parent / 'hub'}", **spelt)(run)


def _texts() -> Iterator[Attack]:
    """Foreign text on pages, in the model card and in the terminal."""
    report, again = ("report", "RUN"), ("export", "RUN")

    def renamed(card: dict) -> None:
        card["models"] = {who + LIVE: entry for who, entry in card["models"].items()}

    def figures(card: dict) -> None:
        for figure in card["task"]["figures"]:
            figure["title"] = LIVE

    def texts(card: dict) -> None:
        card["notes"], card["command"], card["limbeck"] = [LIVE], LIVE, LIVE
        card["method"].update(name=LIVE, paper=LIVE, taxonomy=LIVE, text=LIVE)
        card["data"].update(name=LIVE, classes=[LIVE] * 10, fingerprint=LIVE, notes=[LIVE])

    for name, change in (("keys of models", renamed), ("titles of figures", figures), ("words", texts)):
        yield Attack(f"card.json: {name}, page", edited("card.json", change), report)
        yield Attack(f"card.json: {name}, model card", edited("card.json", change), again)
    yield Attack("card.json: svg", edited("card.json", lambda card: card.update(svg="../evil.svg")), report)
    line = json.dumps({"who": LIVE, "stage": LIVE, "step": 3, "terms": {LIVE: 1.0}, "validation": {"score": 0.5}})
    yield Attack("metrics.jsonl", written("metrics.jsonl", (line + "\n") * 3), report)
    yield Attack("environment.json", written("environment.json", json.dumps({LIVE: LIVE})), report)
    yield Attack("recipe.toml on a page", written("recipe.toml", LIVE), report)
    row = {"format": "onnx", "file": "a" + LIVE.replace("/", ""), "precision": LIVE, "error": LIVE}
    yield Attack("exports.json", written("exports.json", json.dumps({"version": 1, "data": LIVE, "rows": [row]})), again)
    yield Attack("student.json: words", edited("student.json", lambda f: f.update(data=LIVE, inputs=LIVE, outputs=LIVE)), again)
    escape = "\x1b]0;owned\x07\x1b[2J\u202e"
    yield Attack(
        "control characters in a refusal", edited("student.json", lambda f: f["roles"]["student"].update(model=escape)), again
    )
    yield Attack("control characters in a recipe", written("recipe.toml", f'seed = "{json.dumps(escape)[1:-1]}"'), RECIPES[1])
    yield Attack("markup in a card, shown again", edited("card.json", lambda c: c["method"].update(name="[red]x[/red]" + escape)),
                 ("distill", *TINY, "--out", "RUN", "--resume"))  # fmt: skip


def base_run(place: Path) -> Path:
    """The run that strangers change."""
    said = called(["distill", *TINY, "--out", str(place / "base")], place / "base")
    assert (place / "base" / "report.html").exists(), said
    return place / "base"


def tried(every: int = 1, start: int = 0) -> tuple[int, list[str]]:
    """How many were tried, and those that succeeded, with what they reached."""
    reached: list[str] = []
    chosen = list(attacks())[start::every]
    with tempfile.TemporaryDirectory() as folder:
        base = base_run(Path(folder))
        for number, attack in enumerate(chosen):
            place = Path(folder) / str(number)
            place.mkdir()
            why = attack.succeeds(base, place)
            reached += [f"{attack.name}: {why}"] if why else []
            shutil.rmtree(place)
    return len(chosen), reached


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="only every K-th")
    count, reached = tried(parser.parse_args().every)
    print(*reached, sep="\n")
    print(f"{count} attacks, {len(reached)} succeeded")
    sys.exit(bool(reached))


if __name__ == "__main__":
    main()
