"""`limbeck methods`: the catalogue, or the description of one method."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from limbeck.catalogue.facts import facts
from limbeck.cli.command import command_of
from limbeck.errors import UserError


def methods(
    name: Annotated[str | None, typer.Argument(help="name of a method to describe; default: list all")] = None,
    svg: Annotated[Path | None, typer.Option(help="write a diagram of the method to this file")] = None,
    table: Annotated[bool, typer.Option("--table", help="list all methods as a table")] = False,
    unexplored: Annotated[
        bool, typer.Option("--unexplored", help="list combinations that no method of the catalogue uses")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="with --unexplored: all of them, as JSON Lines")] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="a setting of the method: temperature=2")] = None,
) -> None:
    """List the methods, or describe one: who learns what from whom, when, by which loss."""
    if unexplored:
        new_combinations(json_)
    elif name is None:
        catalogue(wide=table)
    else:
        one(name, svg, set_ or [])


def catalogue(wide: bool) -> None:
    """All methods, two lines each: name, year, place in the taxonomy and roles; paper. Wide: survey C's fields."""
    console = Console()
    known = facts()
    if wide:
        table = Table(box=None, pad_edge=False)
        for column in known[0]["row"]:
            table.add_column(column, overflow="fold", no_wrap=column in ("method", "year"))
        for entry in known:
            table.add_row(*entry["row"].values())
        console.print(table)
        return
    width = max(len(entry["name"]) for entry in known)
    for entry in known:
        words = f"  {entry['year'] or '    '}  {'; '.join(entry['place'])}; {', '.join(entry['roles'])}"
        console.print(Text.assemble((f"{entry['name']:<{width}}", "bold"), words), soft_wrap=True)
        console.print(Text(f"{'':<{width}}  {entry['paper']}", "dim"), soft_wrap=True)


def new_combinations(as_json: bool, shown: int = 24) -> None:
    """Combinations that no method of the catalogue uses, the most usual first, each with the code that makes it."""
    from limbeck.catalogue.unexplored import strategies

    found = strategies()
    if as_json:
        for strategy in found:
            print(strategy.json)
        return
    for strategy in found[:shown]:
        fields = ", ".join(strategy.fields.values())
        print(f"{fields}\n    like {strategy.nearest} but for {', '.join(strategy.differs)}: {strategy.python}")
    print(
        f"\n{shown} of {len(found)} combinations that no method of the catalogue uses; --json lists all. Run one with"
        "\nlimbeck distill --method compose and its fields as settings, e.g. --set method.arguments.knowledge=features"
    )


def one(name: str, svg: Path | None, settings: list[str]) -> None:
    """One method, with settings of its own, as text, with its costs and when to use it; into `svg` as a drawing."""
    from limbeck.catalogue.costs import costs
    from limbeck.catalogue.describe import describe
    from limbeck.catalogue.facts import use_of
    from limbeck.methods import find, make
    from limbeck.runs.recipes import parse_value

    arguments = {}
    for word in settings:
        key, equals, value = word.partition("=")
        if not equals:
            raise UserError(f"--set {word!r}: write KEY=VALUE, for example --set temperature=2")
        arguments[key] = parse_value(value)
    made = make(name, arguments)
    print(describe(made))
    print(f"  costs: {costs(made)}")
    print(f"  {use_of(find(name))}")
    if svg is not None:
        from limbeck.catalogue.diagram import svg as draw
        from limbeck.files import atomic_write

        with atomic_write(svg, text=True) as file:
            file.write(draw(made))
        print(svg)


app = command_of(methods)
