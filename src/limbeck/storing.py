"""`limbeck store` and `limbeck plan`: what is kept of frozen teachers' answers, and what a run would cost."""

import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from limbeck.casting import method_of
from limbeck.engine.estimate import estimate
from limbeck.engine.planner import plan
from limbeck.knowledge import Store
from limbeck.recipe import Recipe
from limbeck.run import Run


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
    method = method_of(recipe.method.model_dump())
    with tempfile.TemporaryDirectory() as scratch:
        run = Run(recipe, Path(scratch))
        data = run.load_data()
        cast, streams = run.make_cast(method, data), run.streams(data, method)
        kept = recipe.store
        own = Store(Path(scratch) / "store", limit=int(kept.limit_gb * 2**30)) if kept.use else None
        planned = plan(method, cast, streams, own, form=kept.form, top_k=kept.top_k)
        for decision in planned.decisions:
            print(decision)
        for stage in estimate(method, cast, streams, planned, run.fit(streams, "student", method)):
            print(stage)
