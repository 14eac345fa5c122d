"""The commands of the command line: one file of this folder each, imported when it is called."""

import importlib

import typer
from typer.core import TyperCommand, TyperGroup

from limbeck.errors import unknown

COMMANDS = (
    "distill", "plan", "compare", "methods", "survey", "evaluate", "predict", "export", "shrink", "measure", "report", "web",
    "explain", "watch", "models", "store",
)  # fmt: skip


class Commands(TyperGroup):
    """The commands by name; a file is imported only for its own command and for the list of all."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> TyperCommand:  # type: ignore[override]
        if cmd_name not in COMMANDS:
            raise unknown("command", cmd_name, COMMANDS, "limbeck --help lists all")
        module = importlib.import_module(f"limbeck.cli.{cmd_name}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command  # type: ignore[return-value]


app = typer.Typer(
    name="limbeck",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def limbeck() -> None:
    """Distil a trained model into one that fits a device, and measure the result."""
