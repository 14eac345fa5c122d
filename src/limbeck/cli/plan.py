"""`limbeck plan`: estimated time, memory and stored answers of a run."""

import tempfile
from dataclasses import replace
from pathlib import Path

from limbeck.cli.command import command_of
from limbeck.cli.console import said
from limbeck.cli.options import takes_settings
from limbeck.runs.settings import Recipe
from limbeck.runs.sources import Sources, open_sources


@takes_settings(leave=("alpha", "baseline", "equal_time", "tensorboard", "onnx"))
def plan(recipe: Recipe) -> None:
    """Estimate time, memory and stored teacher answers of a run, without training."""
    from limbeck.engine.balance import balance
    from limbeck.runs import auto
    from limbeck.runs.session import Session
    from limbeck.store import planner
    from limbeck.store.estimate import estimate

    recipe, data = auto.settled(recipe)
    with tempfile.TemporaryDirectory() as scratch:
        sources = open_sources(recipe, data=data, listen=said)
        method, cast, streams = sources.method, sources.cast, sources.streams()
        fit = sources.fit(streams, "student")
        Session(sources, Path(scratch), said).rehearse("student", method)  # what cannot be trained needs no plan
        own = recipe.store
        store = own.open(Path(scratch) / "store")
        planned = planner.plan(method, cast, streams, store, form=own.form, top_k=own.top_k, draws=own.draws)
        planned = replace(planned, method=sources.lean(planned.method))
        method = sources.lean(method)
        for line in (*sources.notes, *planned.decisions):
            print(line)
        for stage in estimate(method, cast, streams, planned, fit):
            print(stage)
        if all(
            sources.has_weights(role) for role in planner.frozen_roles(method)
        ):  # gradients of an untrained teacher mean nothing
            for line in balance(sources.lean(sources.method, join=False), cast, streams, fit):
                print(line)
        if any(adapter.channels_last for adapter in cast.adapters.values()):
            print(_layouts(sources))


def _layouts(sources: Sources) -> str:
    """The time of a step in either memory layout, with all roles live."""
    from limbeck.store import planner
    from limbeck.store.estimate import estimate

    spent = {}
    for layout in ("channels_last", "contiguous"):
        train = sources.recipe.train.model_copy(update={"layout": layout})
        other = open_sources(sources.recipe.model_copy(update={"train": train}), data=sources.data)
        streams = other.streams()
        bare = planner.plan(other.method, other.cast, streams, None)
        found = estimate(other.method, other.cast, streams, bare, other.fit(streams, "student"))
        spent[layout] = 1000 * sum(stage.live for stage in found) / len(found)
    words = ", ".join(f"{layout} {ms:.1f} ms" for layout, ms in spent.items())
    best = min(spent, key=lambda layout: spent[layout])
    return f"memory layout: {words} a step; this run takes channels_last" + (
        "" if best == "channels_last" else ": --set train.layout=contiguous is faster here"
    )


app = command_of(plan)
