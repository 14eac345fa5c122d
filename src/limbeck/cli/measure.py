"""`limbeck measure`: latency and memory of exported files, here or on a target."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.command import Trust, command_of
from limbeck.errors import UserError


def measure(
    target: Annotated[Path, typer.Argument(help="run folder (measures every export in it), or one exported file")],
    batch: Annotated[str, typer.Option(help="batch sizes to time, separated by commas")] = "1,16",
    threads: Annotated[int, typer.Option(help="threads of the runtime")] = 1,
    repeats: Annotated[int, typer.Option(help="most inference calls to time")] = 200,
    warm_up: Annotated[int, typer.Option(help="inference calls before timing")] = 10,
    seconds: Annotated[float, typer.Option(help="longest time per batch size")] = 2.0,
    on: Annotated[str | None, typer.Option(help='command prefix that runs a command on the target: "ssh pi"')] = None,
    python: Annotated[str | None, typer.Option(help="Python interpreter on the target; default python3")] = None,
    trust: Trust = False,
    json_: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Measure latency, peak memory and size of exported files, here or on a target, each in a fresh process."""
    from limbeck.cli.progress import Display
    from limbeck.cli.tables import show_measured
    from limbeck.face.measure import measure as measured

    with Display(quiet=json_) as display:
        found = measured(
            target,
            batches=parse_batches(batch),
            threads=threads,
            repeats=repeats,
            warm_up=warm_up,
            seconds=seconds,
            on=on,
            python=python,
            trust=trust,
            listen=display.on_event,
        )
    show_measured(found, json_)


def parse_batches(text: str) -> tuple[int, ...]:
    """Sizes out of `1,16`.

    >>> parse_batches("1,16")
    (1, 16)
    """
    try:
        return tuple(dict.fromkeys(int(word) for word in text.split(",")))
    except ValueError:
        raise UserError(f"--batch {text!r}: write whole numbers separated by commas, for example 1,16") from None


app = command_of(measure)
