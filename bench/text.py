"""Text: DistilBERT's and TinyBERT's recipes on sentences, divergences of language models on translated words, each against
the same budget without a teacher.

    LIMBECK_BENCH_DATA=FOLDER python -m bench.text [SEEDS [sst2] [translation]]

FOLDER/sst2 holds glue_train.tsv and glue_dev.tsv; 872 sentences of the latter are the test part. Nothing is pretrained: the
teacher is a BERT of 4 layers of 64 features that learns from 7,200 sentences alone, so accuracies are far from BERT's.
The two students differ (half the layers; half the width too), so each has a baseline of its own: two lines of
bench/results/text_distilbert.jsonl and text_tinybert.jsonl for each seed. Translation is as in row 6 of `bench.survey`; there the
student is compared with the teacher on every word of the reference, and the labels stay as in `alone`.
"""

import sys
from collections.abc import Mapping
from typing import Any

from bench.lines import keep
from bench.survey_rows import translation
from bench.survey_rows.sequence_runs import folder, model, run
from limbeck.data import load
from limbeck.data.made.pairs import translation as pairs

BERT = {"vocab_size": 8000, "num_attention_heads": 4, "max_position_embeddings": 32}
TEACHER = {"hidden_size": 64, "num_hidden_layers": 4, "intermediate_size": 256, **BERT}
HALF = TEACHER | {"num_hidden_layers": 2}
THIN = BERT | {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 128}
TRAIN = {"epochs": 4, "batch": 64, "optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.01, "clip": 1.0}


def words(seed: int) -> None:
    """Teacher, baseline and a student for each divergence; BLEU of the best of five beams."""
    data = pairs(folder("multi30k"), "de", "en", longest=10, vocabulary=1500, limit=5000)
    fixed = {"words": len(data.words), "beams": 5, "longest": 11}
    both = {"teacher": model("seq2seq", width=96, **fixed), "student": model("seq2seq", width=24, **fixed)}
    arguments, before = {"labels": 1.0, "forced": True}, None
    for name in ("skewed", "adaptive", "between"):
        made, card = run(
            seed, data, name, after=before, arguments=arguments, baseline=before is None, train=translation.TRAIN, **both
        )
        before = before or made
        print(seed, name, {who: round(100 * m["score"], 2) for who, m in card["models"].items()}, flush=True)
        record("text_translation", name, arguments, seed, translation.TRAIN["epochs"], card["models"])


def measure(seed: int) -> None:
    data = load("sst2", path=folder("sst2"), limit=8000)
    bert = {"model": "transformers:bert"}
    before = None
    for name, student in (("distilbert", HALF), ("tinybert", THIN)):
        settings = {"teacher": bert | {"arguments": TEACHER}, "student": bert | {"arguments": student}}
        before, card = run(seed, data, name, after=before, train=TRAIN, **settings)
        models = card["models"]
        print(seed, name, {who: (round(100 * m["score"], 2), m["parameters"]) for who, m in models.items()}, flush=True)
        record(f"text_{name}", name, {}, seed, TRAIN["epochs"], models)


def record(file: str, name: str, arguments: dict[str, Any], seed: int, epochs: float, models: Mapping[str, Any]) -> None:
    """Lines for the student and, where this run had one, its baseline."""
    for who, method, chosen in (("baseline", "alone", {}), ("student", name, arguments)):
        if who in models:
            line = {"method": method, "arguments": chosen, "seed": seed, "epochs": epochs, "score": models[who]["score"]}
            keep(file, line)


if __name__ == "__main__":
    asked = sys.argv[2:] or ["sst2", "translation"]
    for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
        for part in asked:
            {"sst2": measure, "translation": words}[part](number)
