"""Imports point one way, in the whole tree: from a part to those below it, never in a circle between files."""

import ast
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1] / "src" / "limbeck"

# Part -> the parts that it may import besides itself, from the lowest to the highest. Imports inside functions count too.
TOOLS = {"errors", "files", "processes"}
PURE = {"errors", "transforms", "losses"}
LANGUAGE = TOOLS | PURE | {"plan"}
JUDGED = {"metrics", "tasks"}
MAY = {
    "errors": set(),
    "files": {"errors"},
    "processes": {"errors"},
    "transforms": {"errors"},
    "losses": {"errors", "transforms"},
    "plan": TOOLS | PURE,
    "models": LANGUAGE,
    "connectors": LANGUAGE | {"models"},  # a branch is built of a network's own pieces
    "metrics": {"errors", "transforms"},
    "tasks": LANGUAGE | {"metrics"},
    "data": TOOLS | {"transforms", "plan"} | JUDGED,  # what is to be predicted is part of what data is
    "engine": LANGUAGE | {"models", "data"},
    "store": LANGUAGE | {"data", "engine"},
    "methods": LANGUAGE | {"models", "connectors"} | JUDGED,  # terms that belong to a task
    "catalogue": LANGUAGE | {"models", "connectors", "data", "engine", "store", "methods"} | JUDGED,
    "deploy": LANGUAGE | {"models", "connectors", "methods", "data", "engine"} | JUDGED,
    "runs": LANGUAGE | {"models", "connectors", "data", "engine", "store", "methods", "catalogue", "deploy"} | JUDGED,
}
MAY["cards"] = set(MAY)
MAY["report"] = set(MAY)
MAY["face"] = set(MAY)
MAY |= {part: set(MAY) for part in ("comparison", "explanation", "shrinking", "web")}
MAY |= {part: MAY[part] | {"comparison"} for part in ("explanation", "shrinking", "web")}
MAY["cli"] = set(MAY)
MAY["__init__"] = set(MAY)  # the face: names of every part, imported when they are first used
MAY["__main__"] = set(MAY)

# What still points upwards, to be mended: (importing file, imported part). A line that is no longer true must go.
UPWARDS = {}


def files_of(part):
    path = HERE / part
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def module_of(path):
    parts = path.relative_to(HERE).with_suffix("").parts
    return ".".join(["limbeck", *parts[: -1 if parts[-1] == "__init__" else None]])


MODULES = {module_of(path): path for path in HERE.rglob("*.py")}


def imports(path):
    """(module of ours, whether at the top) for every import in a file, also those inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: write imports in full"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            while name.startswith("limbeck") and name not in MODULES:
                name = name.rpartition(".")[0]
            if name in MODULES:
                yield name, id(node) in top


def part_of(module):
    return (module.split(".") + ["__init__"])[1]


def upward(part):
    found = set()
    for path in files_of(part):
        for module, _ in imports(path):
            other = part_of(module)
            if other not in MAY[part] | {part} and other != "__init__":
                found.add((str(path.relative_to(HERE)), other))
    return found


@pytest.mark.parametrize("part", MAY)
def test_imports_point_one_way(part):
    known = {(file, other) for file, other in UPWARDS if file.split("/")[0].removesuffix(".py") == part}
    assert upward(part) == known


def test_every_part_has_its_line():
    parts = {p.stem if p.is_file() else p.name for p in HERE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert set(MAY) == parts


def test_the_listing_is_short():
    assert len([p for p in HERE.iterdir() if p.name != "__pycache__"]) <= 28


def test_no_circle_between_files():
    """A file and what it imports when it is loaded are in an order; a package's `__init__` counts where it is named."""
    arrows = {module: {other for other, top in imports(path) if top and other != module} for module, path in MODULES.items()}
    done, open_ = set(), []

    def visit(module):
        if module in open_:
            pytest.fail(f"a circle of imports: {' -> '.join([*open_[open_.index(module) :], module])}")
        if module in done:
            return
        open_.append(module)
        for other in sorted(arrows[module]):
            visit(other)
        done.add(open_.pop())

    for module in sorted(arrows):
        visit(module)


def test_a_method_is_one_file_and_imports_no_other_method():
    for path in files_of("methods"):
        if path.stem == "__init__":
            continue
        for module, _ in imports(path):
            assert not module.startswith("limbeck.methods") or module == "limbeck.methods._terms", f"{path.name} imports {module}"


def test_nothing_loads_what_takes_a_second_at_the_start():
    """These are imported where they are used: each costs every command that long."""
    slow = ("scipy.stats", "transformers", "sklearn", "onnxruntime", "torch._dynamo", "pandas", "matplotlib", "PIL")
    for path in HERE.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not any(name == s or name.startswith(f"{s}.") for name in names for s in slow), f"{path}: {names}"
