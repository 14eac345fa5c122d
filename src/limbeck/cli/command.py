"""What all command files share: how a function becomes a command, and a help page in groups that fits a screen."""

from collections.abc import Callable
from typing import Annotated, TypeVar

import typer
from typer.core import TyperCommand

WIDTH = 100  # width of a help page, if the terminal is that wide
Trust = Annotated[
    bool, typer.Option("--trust", help="let models that the folder or recipe names run their code", rich_help_panel="Run")
]
Function = TypeVar("Function", bound=Callable[..., None])


class Grouped(TyperCommand):
    """A command whose help lists its options under a heading each, in the order in which they are declared."""

    def format_options(self, ctx: typer.Context, formatter: "typer._click.HelpFormatter") -> None:  # type: ignore[override]
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            line = parameter.get_help_record(ctx)
            if line is not None:
                name = "Run" if parameter.name == "help" and groups else getattr(parameter, "rich_help_panel", None)
                groups.setdefault(name or "Options", []).append(line)
        for name, lines in groups.items():
            with formatter.section(name):
                formatter.write_dl(lines)


def command_of(function: Function) -> typer.Typer:
    """The application of one command; its function's docstring is the help."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command(cls=Grouped, context_settings={"max_content_width": WIDTH})(function)
    return app
