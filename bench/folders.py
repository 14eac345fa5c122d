"""A folder that plain transformers fine-tuned as teacher, on CSV and on JSONL: its accuracy on the card, and the student's, must be
those that plain transformers measures, to the last sample.

    LIMBECK_BENCH_DATA=FOLDER python -m bench.folders [SENTENCES]

FOLDER/sst2 holds glue_train.tsv and glue_dev.tsv. A BERT of 4 layers of 128 features with a vocabulary of its own learns from
SENTENCES (20,000) of the training part by a loop that knows nothing of us; its labels stand in another order than the data's. Then
`limbeck distill` runs from the command line, on 2,000 of them, with a student that is a config.json alone: by distilbert, which starts
from the teacher's layers, on CSV, and by tinybert on JSONL. The student's folder is loaded by a fresh process that has transformers
only. About five minutes on one core.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from bench.survey_rows.sequence_runs import folder

NAMES = ("positive", "negative")  # the data's classes in alphabetical order are the other way round
SIZES = {"num_hidden_layers": 4, "num_attention_heads": 4, "max_position_embeddings": 64}
Rows = list[tuple[str, str]]
PLAIN = """
import sys, json, torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
folder, test = sys.argv[1:]
tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForSequenceClassification.from_pretrained(folder).eval()
rows, right = [json.loads(line) for line in open(test)], 0
for start in range(0, len(rows), 64):
    part = rows[start : start + 64]
    given = tokenizer([row["text"] for row in part], padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        said = model(**given).logits.argmax(1).tolist()
    right += sum(model.config.id2label[k] == row["label"] for k, row in zip(said, part))
assert not any(name.startswith("limbeck") for name in sys.modules)
print(json.dumps([right, len(rows)]))
"""


def read(name: str) -> Rows:
    with (folder("sst2") / name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [(row["sentence"], "positive" if row["label"] == "1" else "negative") for row in rows]


def write(place: Path, train: Rows, test: Rows) -> None:
    """The same rows as a folder of CSV and as one of JSON Lines."""
    for part, rows in (("train", train), ("test", test)):
        for kind in ("csv", "jsonl"):
            (place / kind).mkdir(exist_ok=True)
        with (place / "csv" / f"{part}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
        lines = [json.dumps({"text": text, "label": label}) + "\n" for text, label in rows]
        (place / "jsonl" / f"{part}.jsonl").write_text("".join(lines), encoding="utf-8")


def fine_tuned(place: Path, train: Rows) -> None:
    """A teacher and its tokenizer, made and trained by transformers alone; and the configuration of a student."""
    import tokenizers as t
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    words = t.BertWordPieceTokenizer()
    words.train_from_iterator([text for text, _ in train], vocab_size=8000)
    words.save_model(str(place))
    tokenizer = BertTokenizerFast(vocab=str(place / "vocab.txt"), model_max_length=64)
    tokenizer.save_pretrained(place / "teacher")
    labels = {"id2label": dict(enumerate(NAMES)), "label2id": {name: k for k, name in enumerate(NAMES)}}
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=128, intermediate_size=256, **SIZES, **labels)
    model = BertForSequenceClassification(config).train()
    optimizer, epochs = torch.optim.AdamW(model.parameters(), 5e-4), 3
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-4, total_steps=epochs * (len(train) // 64))
    for _ in range(epochs):
        for rows in torch.randperm(len(train))[: len(train) // 64 * 64].view(-1, 64).tolist():
            given = tokenizer([train[k][0] for k in rows], padding=True, truncation=True, return_tensors="pt")
            labels_here = torch.tensor([NAMES.index(train[k][1]) for k in rows])
            model(**given, labels=labels_here).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    model.save_pretrained(place / "teacher")
    small = SIZES | {"num_hidden_layers": 2}
    BertConfig(vocab_size=len(tokenizer), hidden_size=128, intermediate_size=256, **small).save_pretrained(place / "small")


def counted(model: Path, test: Path) -> tuple[int, int]:
    """Samples that plain transformers gets right, and of how many."""
    done = subprocess.run([sys.executable, "-c", PLAIN, model, test], capture_output=True, text=True, check=True, cwd=model)
    right, count = json.loads(done.stdout.splitlines()[-1])
    return right, count


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        train, test = read("glue_train.tsv")[:count], read("glue_dev.tsv")
        write(place, train, test)
        fine_tuned(place, train)
        lines = place / "jsonl" / "test.jsonl"
        teacher = counted(place / "teacher", lines)
        print(f"plain transformers: the teacher gets {teacher[0]} of {teacher[1]} right", flush=True)
        for kind, method in (("csv", "distilbert"), ("jsonl", "tinybert")):
            words = ["distill", "--data", place / kind, "--teacher", place / "teacher", "--student", place / "small"]
            words += ["--method", method, "--epochs", "3", "--lr", "0.001", "--set", "train.optimizer=adamw", "--quiet"]
            words += ["--set", "data.limit=2000", "--no-baseline"]
            run = place / f"run-{kind}"
            called = [sys.executable, "-m", "limbeck", *map(str, words), "--out", str(run)]
            subprocess.run(called, check=True, env=os.environ | {"LIMBECK_STORE": str(place / "store")})
            models = json.loads((run / "card.json").read_text())["models"]
            found = {who: round(models[who]["score"] * len(test), 6) for who in models}
            student = counted(run / "student", lines)
            print(f"{kind}, {method}: on the card {found} of {len(test)}; transformers: student {student[0]}", flush=True)
            assert found["teacher"] == teacher[0] and found["student"] == student[0], "they differ"


if __name__ == "__main__":
    main()
