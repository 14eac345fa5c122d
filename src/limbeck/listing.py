"""`limbeck methods`: the catalogue, and one method's abstract view."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from limbeck import describe
from limbeck.casting import method_of
from limbeck.errors import UserError
from limbeck.methods import CATALOGUE
from limbeck.recipe import parse_value


def catalogue(wide: bool) -> None:
    """All methods, two lines each: name, year, place in the taxonomy and roles; paper. Wide: survey C's fields."""
    console = Console()
    made = [declare() for declare in CATALOGUE.values()]
    if wide:
        rows = [describe.row(method) for method in made]
        table = Table(box=None, pad_edge=False)
        for column in rows[0]:
            table.add_column(column, overflow="fold", no_wrap=column in ("method", "year"))
        for row in rows:
            table.add_row(*row.values())
        console.print(table)
        return
    width = max(map(len, CATALOGUE))
    for method in made:
        place = describe.taxonomy(method)
        words = [
            place.knowledge,
            place.scheme + (", self" if place.own else ""),
            place.ratio + (", chain" if place.chain else ""),
        ]
        line = Text.assemble(
            (f"{method.name:<{width}}", "bold"), f"  {method.year or '    '}  {'; '.join(words)}; {', '.join(method.roles())}"
        )
        console.print(line, soft_wrap=True)
        console.print(Text(f"{'':<{width}}  {method.paper}", "dim"), soft_wrap=True)


def one(name: str, svg: Path | None, settings: list[str]) -> None:
    """One method, with settings of its own, as text; into `svg` as a drawing."""
    arguments = {}
    for word in settings:
        key, equals, value = word.partition("=")
        if not equals:
            raise UserError(f"--set {word!r}: write KEY=VALUE, for example --set temperature=2")
        arguments[key] = parse_value(value)
    made = method_of({"name": name, "arguments": arguments})
    print(describe.text(made))
    if svg is not None:
        from limbeck.files import atomic_write
        from limbeck.report.diagram import svg as draw

        with atomic_write(svg, text=True) as file:
            file.write(draw(made))
        print(svg)
