"""What a run shows while it runs: a live line per stage on a terminal, silence elsewhere, then the table."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from limbeck.cards.schema import Card
from limbeck.cli.console import Plain
from limbeck.runs.events import Download, Epoch, Event, Message, RunBegins, StageBegins, Step

if TYPE_CHECKING:
    from limbeck.comparison.schema import Board


class Display:
    """Hears a run's events; a context manager. quiet: show only the result. brief: of the sentences only what was read of the
    data, and of the result no table."""

    def __init__(self, quiet: bool = False, brief: bool = False):
        self.console = Plain()
        self.live = self.console.is_terminal and not quiet
        self.quiet, self.brief = quiet, brief
        self.bar = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(bar_width=24),
            TextColumn("{task.fields[facts]}", markup=False), TimeRemainingColumn(),
            console=self.console, transient=True,
        )  # fmt: skip
        self.task: TaskID | None = None
        self.score = ""
        self.curves: dict[str, list[tuple[int, float]]] = {}
        self.refreshed = 0.0
        self.said: set[str] = set()

    def __enter__(self) -> "Display":
        if self.live:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.bar.stop()

    def on_event(self, event: Event) -> None:
        if isinstance(event, Message | RunBegins):
            self._line(event)
        elif not self.live:
            return
        elif isinstance(event, Download):
            self._download(event)
        elif isinstance(event, StageBegins):
            self._stage(event)
        elif isinstance(event, Step) and self.task is not None:
            self._step(event)
        elif isinstance(event, Epoch):
            self._epoch(event)

    def _epoch(self, event: Epoch) -> None:
        """The score on validation, the best so far, and what the baseline had reached by then."""
        found = event.validation.get("score")
        if found is None:
            self.score = ""
            return
        curve = self.curves.setdefault(event.who, [])
        curve.append((event.step, found))
        self.score = f"  validation {found:.4g}, best {max(value for _, value in curve):.4g}"
        level = [value for step, value in self.curves.get("baseline", []) if step <= event.step and event.who == "student"]
        self.score += f", baseline by then {max(level):.4g}" if level else ""

    def _line(self, event: Message | RunBegins) -> None:
        if self.quiet:
            return
        if isinstance(event, RunBegins):
            self.curves = {}
            self.console.print(f"run {event.done + 1} of {event.total}: {event.entry}, seed {event.seed}", style="dim")
        elif self.brief and self.said:
            return
        elif event.text not in self.said:  # runs of a comparison repeat one another
            self.said.add(event.text)
            self.console.print(event.text, style="dim", markup=False, highlight=False, soft_wrap=True)

    def _stage(self, event: StageBegins) -> None:
        if self.task is not None:
            self.bar.remove_task(self.task)
        self.score = ""
        self.task = self.bar.add_task(f"{event.who}: {event.stage}", total=event.steps, completed=event.step, facts="")

    def _step(self, event: Step) -> None:
        now = time.monotonic()
        if self.task is None or (now - self.refreshed < 0.1 and event.step < event.steps):
            return
        self.refreshed = now
        terms = "  ".join(f"{name} {value:.3f}" for name, value in event.terms.items())
        self.bar.update(self.task, completed=event.step, facts=terms + self.score)

    def _download(self, event: Download) -> None:
        if self.task is None or self.bar.tasks[-1].description != event.file:
            self.task = self.bar.add_task(event.file, total=event.total, facts="")
        self.bar.update(self.task, completed=event.done, total=event.total)

    def show(self, card: Card, folder: Path) -> None:
        """The result table (not where it is brief), then one sentence, three numbers and where the page is."""
        from limbeck.cards.table import card_table

        if not self.brief:
            self.console.print(card_table(card))
        for line in summary(folder):
            self.console.print(line, highlight=False, soft_wrap=True)
        self.console.print(f"{folder / 'report.html'}", highlight=False, soft_wrap=True)

    def show_board(self, board: "Board", folder: Path) -> None:
        """The leaderboard, its verdict, and where everything is."""
        from limbeck.comparison.board_table import board_table

        self.console.print(board_table(board))
        for sentence in board["verdict"]:
            self.console.print(sentence, highlight=False, soft_wrap=True)
        self.console.print(str(folder / "report.html"), highlight=False, soft_wrap=True)


def summary(folder: Path) -> list[str]:
    """What a run's page opens with, as lines: the sentences, and the three numbers with what stands beside each."""
    from limbeck.report.headline import headline, numbers
    from limbeck.report.read import read_run

    view = read_run(folder)
    tiles = numbers(view)
    wide = max((len(name) for name, _, _ in tiles), default=0)
    long = max((len(value) for _, value, _ in tiles), default=0)
    lines = [f"  {name:<{wide}}  {value:<{long}}  {'; '.join(beside)}" for name, value, beside in tiles]
    return [*headline(view), *lines]
