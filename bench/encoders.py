"""An encoder distilled without labels on CIFAR-10, beside the same network trained on 1 % of the labels.

    LIMBECK_BENCH_DATA=FOLDER python -m bench.encoders [SEEDS] [EPOCHS]

FOLDER holds `cifar10` (the published binary files) and `pretrained_cifar10_resnet`. Teacher: the features of the published ResNet-56,
student: ResNet-8's, 64 numbers each. The training part is the 18,000 pictures that are not held out; every one of them is
shown without its label. 180 labels train the baseline, and the linear probe and the neighbours' vote of everybody. Both get the same
pictures and flips, steps and schedule. About ten minutes for a seed on one core; results in `bench/results/encoders.jsonl`.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.survey_rows.sequence_runs import folder

RESULTS = Path(__file__).parent / "results" / "encoders.jsonl"
METHODS = {
    "embedding_match": [],
    "embedding_match, squared": ["method.arguments.distance=squared"],
    "seed_similarity": ["method.arguments.size=4096"],
    "global_local": [],
    "rkd": [],
}


def run(method: str, settings: list[str], seed: int, epochs: str, place: Path) -> dict[str, object]:
    teacher = next(folder("pretrained_cifar10_resnet").glob("resnet56-*.th"))
    words = ["distill", "--task", "embed", "--data", "cifar10", "--data-path", str(folder("cifar10")), "--seed", str(seed)]
    words += ["--teacher", "resnet56", "--teacher-weights", str(teacher), "--student", "resnet8", "--epochs", epochs]
    words += ["--method", method.partition(",")[0], "--augment", "flip", "--views", "2", "--no-onnx", "--quiet"]
    fixed = ["data.labelled=180", "teacher.mean=[0.485,0.456,0.406]", "teacher.std=[0.229,0.224,0.225]"]
    words += [word for setting in [*fixed, *settings] for word in ("--set", setting)]
    words += ["--no-baseline"] if method != next(iter(METHODS)) else []  # one a seed: it knows nothing of the method
    out = place / f"{method}-{seed}".replace(", ", "-")
    subprocess.run([sys.executable, "-m", "limbeck", *words, "--out", str(out)], check=True)
    card = json.loads((out / "card.json").read_text())
    figures = {who: model["figures"] for who, model in card["models"].items()}
    random = [note for note in card["notes"] if "random weights" in note]
    seconds = {who: model["train_seconds"] for who, model in card["models"].items()}
    return {"method": method, "seed": seed, "epochs": epochs, "figures": figures, "random": random, "seconds": seconds}


def main() -> None:
    seeds, epochs = (sys.argv[1:] + ["2", "15"][len(sys.argv) - 1 :])[:2]
    with tempfile.TemporaryDirectory() as name:
        for seed in range(int(seeds)):
            for method, settings in METHODS.items():
                found = run(method, settings, seed, epochs, Path(name))
                with RESULTS.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
