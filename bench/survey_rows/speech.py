"""Rows 1 and 5: spoken digits (FSDD, 8 kHz, six speakers who are also in the test part).

    LIMBECK_BENCH_DATA=FOLDER python -m bench.survey_rows.speech [SEEDS]

FOLDER/fsdd holds the recordings. A whole recording has one label, the digit: there is no alignment that would give every
frame a label of its own, as the acoustic models of row 1 have it.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from bench.survey_rows.sequence_runs import folder, line, model, run, score
from limbeck.data import load

TEACHERS = {
    "teacher": model("lstm", width=48, depth=2, directions=2, stride=2),
    "teacher_2": model("gru", width=48, depth=2, stride=2),
    "teacher_3": model("tdnn", width=64),
}
STUDENT = {"width": 16, "size": 3, "stride": 2}
NARROW = "bands:0:12"  # 60 Hz to about 0.8 of 4 kHz


def teachers(seed: int) -> dict[str, Any]:
    """Fukuda et al. 2017: an LSTM, a GRU and a CNN teach a small CNN, a teacher per minibatch; a copy per teacher; and
    wideband LSTM to narrowband CNN."""
    data = load("fsdd", path=folder("fsdd"), limit=500)
    settings = {"teacher": TEACHERS["teacher"], "roles": {k: v for k, v in TEACHERS.items() if k != "teacher"}}
    settings["train"] = {"epochs": 25}
    student = model("tdnn", **STUDENT)
    switch, card = run(seed, data, "teachers_switch", student=student, **settings)
    _, each = run(seed, data, "teachers_each", after=switch, student=student, baseline=False, **settings)
    narrow = {"student": model("tdnn", NARROW, **STUDENT), "teacher": TEACHERS["teacher"], "train": settings["train"]}
    _, less = run(seed, data, "generalised_distillation", after=switch, **narrow)
    return line(
        switch,
        card,
        data="spoken digits (FSDD), 450 training recordings",
        networks="bidirectional lstm 2x48, gru 2x48, tdnn 64 -> tdnn 16",
        teachers={role: score(switch, data, role) for role in TEACHERS},
        each=100 * each["models"]["student"]["accuracy"],
        narrowband={who: 100 * less["models"][who]["accuracy"] for who in ("baseline", "student")},
    )


ROWS: dict[int, Callable[[int], dict[str, Any]]] = {1: teachers}


def main() -> None:
    for seed in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
        for row, measure in ROWS.items():
            print(json.dumps({"row": row, "seed": seed, **measure(seed)}), flush=True)


if __name__ == "__main__":
    main()
