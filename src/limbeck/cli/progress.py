"""What a run shows while it goes on: a live line per stage on a terminal, silence elsewhere, then the table."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class Display:
    """Hears a run's events; a context manager. quiet: show only the result."""

    def __init__(self, quiet: bool = False):
        self.console = Console()
        self.live = self.console.is_terminal and not quiet
        self.quiet = quiet
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[facts]}"), TimeRemainingColumn(),
            console=self.console, transient=True,
        )  # fmt: skip
        self.task: Any = None
        self.accuracy = ""
        self.refreshed = 0.0
        self.said: set[str] = set()

    def __enter__(self) -> "Display":
        if self.live:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.bar.stop()

    def hear(self, kind: str, facts: Mapping[str, Any]) -> None:
        if kind == "say" and not self.quiet:
            if facts["text"] not in self.said:  # runs of a comparison repeat one another
                self.said.add(facts["text"])
                self.console.print(str(facts["text"]), style="dim", markup=False, highlight=False, soft_wrap=True)
        elif kind == "run" and not self.quiet:
            line = f"run {facts['done'] + 1} of {facts['total']}: {facts['entry']}, seed {facts['seed']}"
            self.console.print(line, style="dim")
        elif not self.live:
            return
        elif kind == "download":
            self._download(facts["facts"])
        elif kind == "stage":
            self._stage(facts)
        elif kind == "step" and self.task is not None:
            self._step(facts)
        elif kind == "epoch":
            found = facts.get("validation", {}).get("accuracy")
            self.accuracy = "" if found is None else f"  validation {found:.1%}"

    def _stage(self, facts: Mapping[str, Any]) -> None:
        if self.task is not None:
            self.bar.remove_task(self.task)
        self.accuracy = ""
        name = f"{facts['who']}: {facts['stage']}"
        self.task = self.bar.add_task(name, total=facts["steps"], completed=facts["step"], facts="")

    def _step(self, facts: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if now - self.refreshed < 0.1 and facts["step"] < facts["steps"]:
            return
        self.refreshed = now
        terms = "  ".join(f"{name} {value:.3f}" for name, value in facts["terms"].items())
        self.bar.update(self.task, completed=facts["step"], facts=terms + self.accuracy)

    def _download(self, facts: tuple[Any, ...]) -> None:
        name, done, total = (*facts, None, None)[:3]
        if self.task is None or self.bar.tasks[-1].description != str(name):
            self.task = self.bar.add_task(str(name), total=total, facts="")
        self.bar.update(self.task, completed=done or 0, total=total)

    def show(self, card: Mapping[str, Any], folder: Path) -> None:
        """The result table and where everything is."""
        from limbeck.cards.table import card_table

        self.console.print(card_table(card))
        self.console.print(f"{folder / 'report.html'}", highlight=False, soft_wrap=True)

    def show_board(self, board: Mapping[str, Any], folder: Path) -> None:
        """The leaderboard, its verdict, and where everything is."""
        from limbeck.cards.table import board_table

        self.console.print(board_table(board))
        for sentence in board["verdict"]:
            self.console.print(sentence, highlight=False, soft_wrap=True)
        self.console.print(str(folder / "report.html"), highlight=False, soft_wrap=True)
