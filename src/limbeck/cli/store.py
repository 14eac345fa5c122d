"""`limbeck store`: the stored answers of frozen teachers."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from limbeck.cli.console import Plain, said
from limbeck.cli.options import takes_settings
from limbeck.runs.settings import Recipe
from limbeck.store.shelves import Store

app = typer.Typer(help="Stored teacher answers: fill, list, verify, prune.", no_args_is_help=True, rich_markup_mode=None)
Folder = Annotated[Path | None, typer.Option("--path", help="folder; default: $LIMBECK_STORE or the user's cache")]


@app.command("fill")
@takes_settings(leave=("alpha", "baseline", "equal_time", "tensorboard", "onnx"))
def fill_(recipe: Recipe) -> None:
    """Ask a teacher now what a run would ask it later; the run, or other students' runs, read it from the store."""
    from limbeck.runs.stored import fill

    asked = fill(recipe, said)
    typer.echo(f"{asked:,} samples asked; a run with these settings reads them from the store")


@app.command("list")
def list_(path: Folder = None) -> None:
    """List stored answers: source, data, view, how full, how large, when last used."""
    show(Store(path))


@app.command("verify")
def verify_(path: Folder = None) -> None:
    """Check every stored answer; damaged ones are removed and computed again by the next run."""
    verify(Store(path))


@app.command()
def prune(
    limit_gb: Annotated[float, typer.Option(min=0, help="size to keep, in GiB; the least recently used are removed first")] = 0.0,
    path: Folder = None,
) -> None:
    """Remove stored answers, least recently used first, until the rest fits the limit."""
    removed = Store(path).prune(int(limit_gb * 2**30), print)
    typer.echo(f"{removed / 2**20:.1f} MiB removed")


def show(store: Store) -> None:
    """One line per shelf: its source and data, how full, how large, when last used."""
    table = Table(box=None, pad_edge=False)
    for column in ("key", "source", "data", "view", "filled", "MiB", "last used"):
        table.add_column(column, overflow="fold")
    for folder, facts in store.shelves():
        filled = sum(store.open(folder, facts).filled().values())
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(folder.stat().st_mtime))
        table.add_row(
            folder.name[:10], facts["source"], facts["data"], facts["view"], f"{filled:,}", f"{facts['bytes'] / 2**20:.1f}", used
        )
    Plain().print(table if table.row_count else f"the store {store.folder} is empty")


def verify(store: Store) -> int:
    """Check every stored answer against its checksum and remove damaged ones; returns their number."""
    damaged = 0
    for folder, facts in list(store.shelves()):
        shelf = store.open(folder, facts)
        shelf.filled()
        if shelf.damaged:
            print(
                f"{folder.name[:10]} {facts['source']}: {shelf.damaged} damaged answers removed; the next run computes them again"
            )
        damaged += shelf.damaged
    print(f"{damaged} damaged answers in {sum(1 for _ in store.shelves())} shelves")
    return damaged
