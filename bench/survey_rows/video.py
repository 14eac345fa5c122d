"""Row 9: videos of moving pictures, a stream of frames and a stream of their differences.

    LIMBECK_BENCH_DATA=FOLDER python -m bench.survey_rows.video [SEEDS]

The videos are made of Fashion-MNIST by `limbeck.data.moving`: a picture of 14 x 14 pixels moves over 28 x 28 with noise, six
frames, and the class is garment x direction, 40 in all. A network takes the frames of a video as its channels.
"""

from collections.abc import Callable
from typing import Any

from bench.survey_rows.sequence_runs import folder, line, model, report, run, score
from limbeck.data import load
from limbeck.data.made.moving import moving

TRAIN = {"epochs": 10, "batch": 64, "optimizer": "sgd", "lr": 0.05, "weight_decay": 5e-4, "clip": 5.0}


def streams(seed: int) -> dict[str, Any]:
    """Wu, Chiu & Wu 2019: a teacher on the frames and one on their differences, each alone and both fused, teach a
    student that sees the frames."""
    data = moving(load("fashion_mnist", path=folder("fashion_mnist"), limit=5000), noise=0.1)
    made, card = run(
        seed,
        data,
        "streams",
        teacher=model("cnn", width=16, depth=2),
        roles={"teacher_2": model("cnn", "differences", width=16, depth=2)},
        student=model("cnn", width=8),
        train=TRAIN,
    )
    return line(
        made,
        card,
        data="moving Fashion-MNIST, 4,500 training videos",
        networks="cnn 16 on frames, cnn 16 on differences -> cnn 8 on frames",
        teachers={"frames": score(made, data, "teacher"), "differences": score(made, data, "teacher_2")},
    )


ROWS: dict[int, Callable[[int], dict[str, Any]]] = {9: streams}


def main() -> None:
    report(ROWS)


if __name__ == "__main__":
    main()
