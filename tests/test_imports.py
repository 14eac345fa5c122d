"""Imports point one way: methods -> plan, losses, transforms, connectors -> taps, roles; the engine knows no method."""

import ast
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1] / "src" / "limbeck"
TOOLS = {"errors", "numerics", "files"}  # import nothing of ours but each other
PURE = TOOLS | {"losses", "transforms", "masks", "boxes"}
CORE = PURE | {"actions", "heard", "roles", "schedules", "taps"}

# part -> what of ours it may import when it is loaded (its own part always may)
MAY = {
    "errors": set(),
    "numerics": {"errors"},
    "files": {"errors"},
    "losses": TOOLS | {"transforms"},
    "transforms": TOOLS | {"losses"},
    "boxes": TOOLS,
    "masks": TOOLS | {"boxes"},
    "heard": set(),
    "roles": TOOLS | {"heard"},
    "actions": TOOLS | {"roles"},
    "taps": TOOLS | {"roles"},
    "schedules": set(),
    "plan": TOOLS | {"roles", "schedules", "taps"},
    "connectors": CORE | {"models"},  # a branch is built of a network's own pieces
    "combine": PURE,
    "labelling": PURE | {"data"},  # noise as a function of the sample number
    "quantise": CORE,
    "kinds": CORE | {"plan", "combine", "labelling"},
    "int8_training": CORE | {"quantise"},
    "describe": CORE | {"plan", "combine", "kinds"},
    "models": CORE,
    "data": TOOLS | {"evaluate"},  # what is to be answered is part of what data is
    "methods": CORE | {"plan", "connectors", "models", "combine", "labelling", "quantise"},
    "forms": TOOLS,
    "knowledge": CORE | {"plan", "data", "forms"},
    "engine": CORE | {"plan", "data", "knowledge", "connectors"},
    "evaluate": PURE,
    "deploy": CORE | {"plan", "models", "evaluate", "quantise", "data"},
}
# imports inside functions that go against the arrow on purpose, each with its reason
LATE = {
    ("actions", "models"): "Load reads weights",
    ("plan", "describe"): "Method.describe() is a convenience",
    ("deploy", "runs"): "a student is rebuilt from its recipe",
    ("deploy", "engine"): "a student's parts are rebuilt as the engine builds them",
}


def files_of(part):
    path = HERE / part
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def imports(path):
    """(part of ours, whether at the top) for every import in a file."""
    found = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module] if node.module != "limbeck" else [f"limbeck.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: write imports in full"
            continue
        found += [(name.split(".")[1], id(node) in top) for name in names if name.startswith("limbeck.")]
    return found


@pytest.mark.parametrize("part", MAY)
def test_imports_point_one_way(part):
    for path in files_of(part):
        for other, top in imports(path):
            allowed = other in MAY[part] | {part} or (not top and (part, other) in LATE)
            assert allowed, f"{path.relative_to(HERE)} imports {other}"


def test_the_engine_and_what_it_stands_on_import_no_method():
    for part in ("engine", "plan", "taps", "roles", "losses", "transforms", "connectors", "models", "data"):
        assert not [p.name for p in files_of(part) if any(other == "methods" for other, _ in imports(p))], part


def test_every_part_is_in_the_table_or_stands_above_it():
    above = {
        "__init__",
        "__main__",
        "api",
        "catalogue",
        "cli",
        "commands",
        "compare",
        "docs",
        "explain",
        "memory",
        "processes",
        "report",
        "runs",
        "shrink",
        "survey",
        "web",
    }
    parts = {p.stem if p.is_file() else p.name for p in HERE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert not (set(MAY) & above) and set(MAY) | above == parts
    for part in parts - set(MAY):  # what is above may import anything; nothing below may import it
        for below in MAY:
            late = (below, part) in LATE
            assert late or not [p for p in files_of(below) if any(other == part for other, _ in imports(p))], (
                f"{below} imports {part}"
            )


def test_a_method_is_one_file_and_imports_no_other_method():
    for path in files_of("methods"):
        if path.stem == "__init__":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("limbeck.methods"):
                assert node.module == "limbeck.methods._terms", f"{path.name} imports {node.module}"
