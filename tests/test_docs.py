"""The documents keep their word: every block runs, every link leads somewhere, every generated page is up to date."""

import contextlib
import importlib
import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import limbeck
from limbeck.__main__ import run
from limbeck.catalogue import pages as docs
from limbeck.cli.app import app

ROOT = Path(__file__).parents[1]
RUN = ("README.md", "docs/guide.md", "docs/encoders.md", "docs/language.md")
PAGES = (*RUN, "CHANGELOG.md", "CONTRIBUTING.md", "docs/methods.md", "docs/losses.md", "docs/comparisons.md", "docs/runtimes.md", "docs/evidence.md",
         "docs/glossary.md", "docs/pages.md")  # fmt: skip
NOT_RUN = 8  # blocks that need a download, an environment of their own, two processes or minutes, or repeat one above
BLOCK = re.compile(r"(?:<!-- not run: (?P<why>[^\n]+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```", re.M | re.S)


def blocks(page):
    return list(BLOCK.finditer((ROOT / page).read_text(encoding="utf-8")))


def commands(text):
    """The lines of a bash block that call us, as words."""
    lines = [shlex.split(line, comments=True) for line in text.replace("\\\n", " ").splitlines()]
    return [words[1:] if words[0] == "limbeck" else words[3:] for words in filter(None, lines) if ours(words)]


def ours(words):
    return words[0] == "limbeck" or words[:3] == ["python", "-m", "limbeck"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder to run in, with a store and a cache of its own, and nothing of it left behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("LIMBECK_DATA", str(tmp_path / "data"))
    monkeypatch.syspath_prepend(str(tmp_path))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(threads)
    sys.modules.pop("my_models", None)


def furnish(folder):
    """What the README speaks of as the reader's own: `photos`, `my_models.py`, `big.pt`."""
    for block in blocks("docs/guide.md")[:20]:
        if block["language"] == "python" and ("# my_models.py" in block["text"] or 'Path("photos")' in block["text"]):
            follow(block, {}, folder)
    with (folder / "my_models.py").open("a") as file:
        file.write("\n\ndef big(num_classes: int) -> nn.Module:\n    return small(num_classes, width=32)\n")
    sys.modules.pop("my_models", None)
    import my_models

    assert isinstance(my_models.big(3), nn.Module)
    torch.save(my_models.big(3).state_dict(), "big.pt")


def follow(block, names, folder):
    """Do what a block says: write the file that its first line names, or run it."""
    named = re.match(r"# ([\w.]+\.(?:py|toml))\n", block["text"])
    if named:
        (folder / named[1]).write_text(block["text"], encoding="utf-8")
    elif block["language"] == "python":
        exec(compile(block["text"], "a block of the documents", "exec"), names)
    elif block["language"] == "bash":
        lines = [words for line in block["text"].splitlines() if (words := shlex.split(line, comments=True))]
        assert all(map(ours, lines)), "mark a block with other commands `<!-- not run: reason -->`"
        for words in commands(block["text"]):
            assert run(words) == 0, words


@pytest.mark.parametrize("page", RUN)
def test_every_block_runs(page, place, capsys):
    if page == "README.md":
        furnish(place)
    names = {"__name__": "docs"}
    for block in blocks(page):
        if not block["why"]:
            with contextlib.redirect_stdout(sys.stderr):
                follow(block, names, place)
    capsys.readouterr()


def test_few_blocks_are_not_run():
    assert sum(bool(block["why"]) for page in RUN for block in blocks(page)) == NOT_RUN


def spoken(page):
    """Every command of a page: in blocks, run or not, and between backticks in the text."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [words for block in blocks(page) if block["language"] == "bash" for words in commands(block["text"])]
    inline = re.findall(r"`(limbeck [^`]+)`", BLOCK.sub("", text))
    return found + [words[1:] for words in map(shlex.split, inline)]


@pytest.mark.parametrize("page", PAGES)
def test_no_command_has_an_option_that_does_not_exist(page):
    import typer

    group = typer.main.get_command(app)
    for name, *words in spoken(page):
        command = group.get_command(None, name)
        if hasattr(command, "commands") and words:
            command, words = command.commands[words[0]], words[1:]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in words if word.startswith("--")} <= known, (name, words)
        if name in ("distill", "plan") and "--recipe" not in words:
            with command.make_context(name, list(words)) as context:
                getattr(importlib.import_module(f"limbeck.cli.{name}"), name).read(
                    dict(context.params)
                )  # the keys of --set and their values


def anchors(path):
    text = path.read_text(encoding="utf-8")
    heads = re.findall(r"^#+ (.+)$", BLOCK.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads} | set(re.findall(r'id="([\w-]+)"', text))


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = BLOCK.sub("", (ROOT / page).read_text(encoding="utf-8"))
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert links or page == "CHANGELOG.md" or page == "CONTRIBUTING.md"
    for link in links:
        file, _, anchor = link.partition("#")
        target = (ROOT / page).parent / file if file else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_generated_pages_are_what_the_code_says():
    for name, text in docs.pages().items():
        path = ROOT / "docs" / name
        assert path.exists() and path.read_text(encoding="utf-8") == text, f"docs/{name} is out of date: make docs"
    drawn = {f"methods/{path.name}" for path in (ROOT / "docs" / "methods").glob("*")}
    assert drawn == {name for name in docs.pages() if name.startswith("methods/")}


def test_writing_the_pages_twice_changes_nothing(tmp_path):
    assert len(docs.write(tmp_path)) == len(docs.pages())
    (tmp_path / "methods" / "gone.svg").write_text("")
    assert docs.write(tmp_path) == [tmp_path / "methods" / "gone.svg"]


def test_the_example_of_a_new_method_is_one():
    text = next(b["text"] for b in indented("CONTRIBUTING.md"))
    names = {}
    exec(compile(text, "CONTRIBUTING.md", "exec"), names)
    assert "linear(start=0.0, end=1.0, over=0.5) x soft_target" in limbeck.describe(names["late_kd"]())


def indented(page):
    for block in re.finditer(r"^   ```python\n(?P<text>.*?)^   ```", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S):
        yield {"text": "\n".join(line[3:] for line in block["text"].splitlines())}


def test_the_picture_is_small():
    assert (ROOT / "docs" / "page.png").stat().st_size < 300_000
