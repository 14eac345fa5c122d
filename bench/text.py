"""Text models on SST-2: DistilBERT's and TinyBERT's recipes against the same budget without a teacher.

    LIMBECK_BENCH_DATA=FOLDER python -m bench.text [SEEDS]

FOLDER/sst2 holds glue_train.tsv and glue_dev.tsv; 872 sentences of the latter are the test part. Nothing is pretrained: the
teacher is a BERT of 4 layers of 64 features that learns from 7,200 sentences alone, so accuracies are far from BERT's.
The two students differ (half the layers; half the width too), so each has a baseline of its own: two lines of
bench/results/text_distilbert.jsonl and text_tinybert.jsonl for each seed.
"""

import sys

from bench.lines import keep
from bench.survey_rows.sequence_runs import folder, run
from limbeck.data import load

BERT = {"vocab_size": 8000, "num_attention_heads": 4, "max_position_embeddings": 32}
TEACHER = {"hidden_size": 64, "num_hidden_layers": 4, "intermediate_size": 256, **BERT}
HALF = TEACHER | {"num_hidden_layers": 2}
THIN = BERT | {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 128}
TRAIN = {"epochs": 4, "batch": 64, "optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.01, "clip": 1.0}


def measure(seed: int) -> None:
    data = load("sst2", path=folder("sst2"), limit=8000)
    bert = {"model": "transformers:bert"}
    before = None
    for name, student in (("distilbert", HALF), ("tinybert", THIN)):
        settings = {"teacher": bert | {"arguments": TEACHER}, "student": bert | {"arguments": student}}
        before, card = run(seed, data, name, after=before, train=TRAIN, **settings)
        models = card["models"]
        print(seed, name, {who: (round(100 * m["accuracy"], 2), m["parameters"]) for who, m in models.items()}, flush=True)
        for method, who in (("alone", "baseline"), (name, "student")):
            keep(
                f"text_{name}",
                {"method": method, "arguments": {}, "seed": seed, "epochs": 4, "accuracy": models[who]["accuracy"]},
            )


if __name__ == "__main__":
    for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
        measure(number)
