"""What the commands print: words of others are shown as they are, never read as markup or as control of the terminal."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from limbeck.errors import visible
from limbeck.runs.events import Event, Message


class Plain(Console):
    """A console of rich without markup and without control characters in what is shown."""

    def __init__(self) -> None:
        super().__init__(markup=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else visible(text), style, control)


def tell(text: object) -> None:
    """Print a line in which words of others may be."""
    print(visible(str(text)))


def said(event: Event) -> None:
    """Print what a message of a run says."""
    if isinstance(event, Message):
        tell(event.text)
