"""`limbeck models`: the built-in networks."""

import typer

from limbeck.cli.command import command_of


def models() -> None:
    """List the built-in networks."""
    from limbeck.models import names

    typer.echo("\n".join(names()))


app = command_of(models)
