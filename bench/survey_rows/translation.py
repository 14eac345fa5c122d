"""Row 6: German to English sentences in place of speech, an attention sequence-to-sequence network in both cases.

    LIMBECK_BENCH_DATA=FOLDER python -m bench.survey_rows.translation [SEEDS]

FOLDER/multi30k holds train, val and test_2016_flickr in .de.gz and .en.gz. Pairs of at most 10 words are used, of all parts,
and 1,500 words of each language, so BLEU is that of an easy task and compares within the row only.
"""

from collections.abc import Callable
from typing import Any

from bench.survey_rows.sequence_runs import folder, line, model, report, run
from limbeck.data.made.pairs import translation

TRAIN = {"epochs": 8, "batch": 64, "optimizer": "adamw", "lr": 0.004, "weight_decay": 0.01, "clip": 5.0}


def n_best(seed: int) -> dict[str, Any]:
    """Mun'im, Inoue & Shinoda 2019: the five best translations of a teacher, by beam search, are all a student reads.
    Teacher, baseline and student are judged by the best of five beams."""
    data = translation(folder("multi30k"), "de", "en", longest=10, vocabulary=1500, limit=5000)
    fixed = {"words": len(data.words), "beams": 5, "longest": 11}
    made, card = run(
        seed,
        data,
        "sequence_level",
        teacher=model("seq2seq", width=96, **fixed),
        student=model("seq2seq", width=24, **fixed),
        train=TRAIN,
        store={"use": True},
    )
    return line(
        made,
        card,
        data=f"multi30k de-en, {len(data['train']):,} training pairs of at most 10 words",
        metric="BLEU",
        networks="seq2seq 96 -> seq2seq 24",
    )


ROWS: dict[int, Callable[[int], dict[str, Any]]] = {6: n_best}


def main() -> None:
    report(ROWS)


if __name__ == "__main__":
    main()
