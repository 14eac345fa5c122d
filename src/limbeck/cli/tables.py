"""Tables of exports and measurements in the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from limbeck.cards.words import bytes_words, number, percent
from limbeck.cli.console import Plain, tell
from limbeck.files import json_text

if TYPE_CHECKING:
    from limbeck.deploy.shipment import ExportRow
    from limbeck.face.measure import Measurement


def show_exports(rows: "Sequence[ExportRow]", as_json: bool) -> None:
    """Every exported file: its size, its difference from the PyTorch student, its score."""
    if as_json:
        print(json_text({"exports": list(rows)}, indent=1))
        return
    table = _table("file", "precision", "size", "largest difference", "equal predictions", "test score", "of PyTorch")
    for row in rows:
        if "error" in row:
            table.add_row(row["file"], row["precision"], "failed: see below")
            continue
        part = row.get("test") or row.get("validation")
        table.add_row(
            row["file"],
            row["precision"],
            bytes_words(row["bytes"]),
            f"{row['largest_difference']:.2g}",
            percent(row["same_predictions"], 2),
            number(part["score"] if part else None, 4),
            number(part["student"] if part else None, 4),
        )
    _print(table)
    for row in rows:
        if row.get("note"):
            tell(f"{row['file']}: {row['note']}")


def show_measured(rows: "Sequence[Measurement]", as_json: bool) -> None:
    """Every measured file: latency by batch size, memory, size."""
    if as_json:
        print(json_text({"measured": list(rows)}, indent=1))
        return
    batches = list(dict.fromkeys(batch for row in rows for batch in row.get("latency_ms", {})))
    heads = [f"batch {batch}: median [p95] ms" for batch in batches]
    speeds = ["tokens read per second"] if any("tokens" in row for row in rows) else []
    table = _table("file", *heads, *speeds, "peak memory", "of it the runtime", "size")
    for row in rows:
        if "error" in row:
            table.add_row(row["file"], f"failed: {row['error']}")
            continue
        times = [row["latency_ms"].get(batch) for batch in batches]
        cells = [f"{number(t['median'])} [{number(t['p95'])}]" if t else "batch too large" for t in times]
        if speeds:
            rates = [int(b) * row.get("tokens", 0) / t["median"] * 1000 for b, t in zip(batches, times, strict=True) if t]
            cells.append(f"{max(rates):,.0f}")
        table.add_row(
            row["file"], *cells, bytes_words(row["peak_bytes"]), bytes_words(row["runtime_bytes"]), bytes_words(row["bytes"])
        )
    _print(table)


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for head in heads:
        table.add_column(head, justify="left" if head == "file" else "right", no_wrap=head == "file")
    return table


def _print(table: Table) -> None:
    Plain().print(table)
