"""Rows 1 and 5: spoken digits (FSDD, 8 kHz, six speakers who are also in the test part).

    LIMBECK_BENCH_DATA=FOLDER python -m bench.survey_rows.speech [SEEDS [ROW ...]]

FOLDER/fsdd holds the recordings. A whole recording has one label, the digit: there is no alignment that would give every
frame a label of its own, as the acoustic models of row 1 have it.
"""

from collections.abc import Callable
from typing import Any

from bench.survey_rows.sequence_runs import folder, line, model, report, run, score
from limbeck.data import load
from limbeck.data.made.strings import strung

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
        each=100 * each["models"]["student"]["score"],
        narrowband={who: 100 * less["models"][who]["score"] for who in ("baseline", "student")},
    )


def strings(seed: int) -> dict[str, Any]:
    """Kurata & Audhkhasi 2018: a bidirectional LSTM, trained by CTC on strings of 3 to 5 digits, teaches a one-directional."""
    data = strung(load("fsdd", path=folder("fsdd"), limit=1500))
    made, card = run(
        seed,
        data,
        "ctc_delayed",
        teacher=model("lstm", width=48, directions=2, stride=2, per_frame=1),
        student=model("lstm", width=24, stride=2, per_frame=1),
        train={"epochs": 12, "lr": 0.01},
    )
    return line(
        made,
        card,
        data="strings of 3 to 5 spoken digits (FSDD), 1,350 training strings",
        metric=data.task.metric,
        networks="bidirectional lstm 48 -> lstm 24",
    )


ROWS: dict[int, Callable[[int], dict[str, Any]]] = {1: teachers, 5: strings}


def main() -> None:
    report(ROWS)


if __name__ == "__main__":
    main()
