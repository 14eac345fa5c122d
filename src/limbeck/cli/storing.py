"""`limbeck store` and `limbeck plan`: what is kept of frozen teachers' answers, and what a run would cost."""

import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from limbeck.engine.balance import balance
from limbeck.runs.settings import Recipe
from limbeck.runs.sources import Sources, open_sources
from limbeck.store.estimate import estimate
from limbeck.store.planner import frozen_roles, plan
from limbeck.store.shelves import Store


def show(store: Store) -> None:
    """One line per shelf: what it answers, for which data, how full, how large, when last used."""
    table = Table(box=None, pad_edge=False)
    for column in ("key", "source", "data", "view", "filled", "MiB", "last used"):
        table.add_column(column, overflow="fold")
    for folder, facts in store.shelves():
        filled = sum(store.open(folder, facts).filled().values())
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(folder.stat().st_mtime))
        table.add_row(
            folder.name[:10], facts["source"], facts["data"], facts["view"], f"{filled:,}", f"{facts['bytes'] / 2**20:.1f}", used
        )
    Console().print(table if table.row_count else f"the store {store.folder} is empty")


def verify(store: Store) -> int:
    """Check every stored answer against its checksum; damaged ones are emptied. Returns how many there were."""
    damaged = 0
    for folder, facts in list(store.shelves()):
        shelf = store.open(folder, facts)
        shelf.filled()
        if shelf.damaged:
            print(
                f"{folder.name[:10]} {facts['source']}: {shelf.damaged} damaged answers emptied; the next run computes them again"
            )
        damaged += shelf.damaged
    print(f"{damaged} damaged answers in {sum(1 for _ in store.shelves())} shelves")
    return damaged


def foresee(recipe: Recipe) -> None:
    """Say what a run with this recipe would store, run live, take in time and memory; train nothing."""
    with tempfile.TemporaryDirectory() as scratch:
        sources = open_sources(recipe)
        method, cast, streams = sources.method, sources.cast, sources.streams()
        fit = sources.fit(streams, "student")
        planned = plan(
            method, cast, streams, recipe.store.open(Path(scratch) / "store"), form=recipe.store.form, top_k=recipe.store.top_k
        )
        for decision in planned.decisions:
            print(decision)
        for stage in estimate(method, cast, streams, planned, fit):
            print(stage)
        if all(sources.has_weights(role) for role in frozen_roles(method)):  # an untrained mentor says nothing of it
            for line in balance(method, cast, streams, fit):
                print(line)
        if any(adapter.channels_last for adapter in cast.adapters.values()):
            print(_layouts(sources))


def _layouts(sources: Sources) -> str:
    """A step in either memory layout, every role live, measured beside each other."""
    spent = {}
    for layout in ("channels_last", "contiguous"):
        train = sources.recipe.train.model_copy(update={"layout": layout})
        other = open_sources(sources.recipe.model_copy(update={"train": train}), data=sources.data)
        streams = other.streams()
        bare = plan(other.method, other.cast, streams, None)
        found = estimate(other.method, other.cast, streams, bare, other.fit(streams, "student"))
        spent[layout] = 1000 * sum(stage.live for stage in found) / len(found)
    words = ", ".join(f"{layout} {ms:.1f} ms" for layout, ms in spent.items())
    best = min(spent, key=lambda layout: spent[layout])
    return f"memory layout: {words} a step; this run takes channels_last" + (
        "" if best == "channels_last" else ": --set train.layout=contiguous is faster here"
    )
