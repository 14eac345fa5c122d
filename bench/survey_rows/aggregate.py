"""Means and intervals over the seeds, into the package: what `limbeck survey` prints of our own measurements."""

import json
from pathlib import Path
from typing import Any

from limbeck.catalogue.survey.measured import TABLE
from limbeck.metrics.significance import mean_interval

# Rows that do not beat their baseline: what was looked at. Kept beside the figures, never instead of them.
CAUSES: dict[str, str] = json.loads((Path(__file__).parent / "causes.json").read_text(encoding="utf-8"))


def write(records: list[dict[str, Any]]) -> str:
    """Write the package's table and return where it lies."""
    table = {str(row): summed([r for r in records if r["row"] == row]) for row in sorted({r["row"] for r in records})}
    for row, found in table.items():
        gap = found["gap"]
        if gap is not None and gap["mean"] <= 0 and row in CAUSES:
            found["cause"] = CAUSES[row]
    TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return f"{len(table)} rows in {TABLE}"


def summed(records: list[dict[str, Any]]) -> dict[str, Any]:
    """One row's seeds as means with their 95 % intervals; the gap is paired by seed."""
    first = records[0]
    pairs = [(r["student"], r["baseline"]) for r in records if r["baseline"] is not None]
    kept = {key: first.get(key) for key in ("method", "arguments", "data", "budget", "metric", "networks", "note")}
    kept |= {"seeds": len(records), "teacher_size": first["teacher_size"], "student_size": first["student_size"]}
    kept |= {who: _spread([r[who] for r in records if r[who] is not None]) for who in ("teacher", "baseline", "student")}
    others = {name: _spread([r["others"][name] for r in records if "others" in r]) for name in first.get("others", {})}
    return kept | {"gap": _spread([s - b for s, b in pairs])} | ({"others": others} if others else {})


def _spread(values: list[float]) -> dict[str, float | None] | None:
    if not values:
        return None
    mean, low, high = mean_interval(values)
    return {"mean": round(mean, 4)} | {k: None if v != v else round(v, 4) for k, v in (("low", low), ("high", high))}
