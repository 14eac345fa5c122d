"""Language models on wikitext-2: time and memory of a step beside a loop by hand and TRL's, and what a teacher is worth.

    LIMBECK_BENCH_DATA=FOLDER python -m bench.language speed [3] # medians of the CPU time of a step, in fresh processes, in 3 rounds
    LIMBECK_BENCH_DATA=FOLDER python -m bench.language quality   # 80 steps, three seeds: labels, live, drawn words, cut students
    LIMBECK_BENCH_DATA=FOLDER python -m bench.language tokenizers 0,1,2  # beside teachers with tokenizers of their own
    LIMBECK_BENCH_DATA=FOLDER python -m bench.language tables

FOLDER/wikitext2_valid_test holds test.txt and valid.txt. The test text and three quarters of the other one are trained on, the rest
is judged. A byte-level BPE of 2,048 words and a Llama of 4 layers of 256 (3.7 million parameters) learn from the training text by a
loop that knows nothing of us, once, in bench/cache (about 3 minutes of one core). Students are Llamas of 2 layers of 128
(0.66 million). Batches are 16 rows of 128 tokens, AdamW at 0.002, cosine. One thread; TRL is asked where it is installed.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import torch

from bench.survey_rows.sequence_runs import folder

PLACE, RESULTS = Path(__file__).parent / "cache" / "language", Path(__file__).parent / "results" / "language.json"
WORDS, WIDTH, ROWS, RATE = 2048, 128, 16, 2e-3
STEPS, SEEDS, TIMED = 80, (0, 1, 2), 20
WAYS = ("by hand", "labels alone", "full logits", "chunked", "stored, 16 drawn", "with labels, chunked", "TRL GKDTrainer")


def texts() -> dict[str, str]:
    source = folder("wikitext2_valid_test")
    test, valid = ((source / f"{part}.txt").read_text(encoding="utf-8") for part in ("test", "valid"))
    cut = valid.rindex("\n", 0, len(valid) * 3 // 4) + 1
    return {"train": test + valid[:cut], "test": valid[cut:]}


def config(layers: int, width: int, words: int = WORDS):
    from transformers import LlamaConfig

    heads = width // 32
    return LlamaConfig(
        vocab_size=words,
        hidden_size=width,
        intermediate_size=width * 8 // 3 // 8 * 8,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        eos_token_id=0,
        bos_token_id=None,
        architectures=["LlamaForCausalLM"],
    )


def prepare() -> None:
    """Texts, tokenizer, teacher, and the folders of students; nothing of ours takes part."""
    if (PLACE / "teacher" / "model.safetensors").exists():
        return
    from transformers import LlamaForCausalLM

    data = PLACE / "data"
    data.mkdir(parents=True, exist_ok=True)
    for part, text in texts().items():
        (data / f"{part}.txt").write_text(text, encoding="utf-8")
    tokens, model = learned(WORDS)
    config(2, 128).save_pretrained(PLACE / "small")
    config(2, 256).save_pretrained(PLACE / "half")
    cut = LlamaForCausalLM(config(2, 256))
    own = {
        key.replace("layers.3.", "layers.1."): v
        for key, v in model.state_dict().items()
        if ".layers." not in key or ".0." in key or ".3." in key
    }
    cut.load_state_dict(own)
    cut.save_pretrained(PLACE / "cut")
    model.save_pretrained(PLACE / "teacher")
    for name in ("small", "half", "cut", "teacher"):
        tokens.save_pretrained(PLACE / name)


def prepare_other(words: int) -> str:
    """A teacher with a tokenizer of its own, of so many words."""
    name = f"teacher of {words}"
    if not (PLACE / name / "model.safetensors").exists():
        tokens, model = learned(words)
        tokens.save_pretrained(PLACE / name)
        model.save_pretrained(PLACE / name)
    return name


def learned(words: int):
    """A tokenizer of so many words, and a model that learned the training text."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

    made = ByteLevelBPETokenizer()
    made.train_from_iterator([texts()["train"]], vocab_size=words, special_tokens=["<|end|>"], show_progress=False)
    tokens = PreTrainedTokenizerFast(tokenizer_object=made._tokenizer, eos_token="<|end|>", model_max_length=512)
    torch.manual_seed(0)
    model = LlamaForCausalLM(config(4, 256, words))
    ids = torch.tensor(tokens(texts()["train"], verbose=False)["input_ids"])
    optimizer = torch.optim.AdamW(model.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 320)
    for _ in range(320):
        starts = torch.randint(0, len(ids) - WIDTH - 1, (ROWS,))
        rows = torch.stack([ids[k : k + WIDTH + 1] for k in starts])
        model(input_ids=rows, labels=rows).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return tokens, model


def recipe(
    student: str,
    method: str,
    arguments: dict[str, object],
    *,
    seed: int = 0,
    steps: int = STEPS,
    draws: int | None = None,
    teacher: str = "teacher",
):
    from limbeck.runs import recipes

    per_epoch = 5236 * 0.98 // ROWS  # blocks of the training text but for those of validation
    return recipes.make(
        {
            "data": {"name": str(PLACE / "data"), "longest": WIDTH, "validation": 0.02},
            "teacher": {"model": str(PLACE / teacher)},
            "student": {"model": str(PLACE / student)},
            "method": {"name": method, "arguments": arguments},
            "train": {
                "epochs": steps / per_epoch,
                "batch": ROWS,
                "optimizer": "adamw",
                "lr": RATE,
                "schedule": "cosine",
                "clip": 1.0,
            },
            "store": {"use": draws is not None, "draws": draws, "path": str(PLACE / "store")},
            "seed": seed,
            "baseline": False,
            "onnx": False,
            "device": "cpu",
        }
    )


# ---------------------------------------------------------------- a step


def step(way: str) -> None:
    """The median CPU time of a step in milliseconds, and the peak memory before and after, as JSON."""
    torch.set_num_threads(1)
    ticks, before = by_trl() if way.startswith("TRL") else by_hand() if way == "by hand" else by_us(way)
    gaps = [1000 * (b - a) for a, b in zip(ticks[3:], ticks[4:])]
    print(json.dumps({"ms": median(gaps), "before": before, "peak": peak()}))


def peak() -> float:
    """MiB that this process held at most: what its parent held before it was forked does not count."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def by_us(way: str) -> tuple[list[float], float]:
    from limbeck import engine
    from limbeck.runs.heads import Heads
    from limbeck.runs.sources import open_sources
    from limbeck.store.planner import plan

    draws = 16 if way.startswith("stored") else None
    method, arguments = ("alone", {}) if way == "labels alone" else ("lm_kd", {"labels": 0.5 if way.startswith("with") else 0.0})
    sources = open_sources(recipe("small", method, arguments, steps=TIMED, draws=draws))
    if way == "full logits":
        sources.heads = Heads({})
    streams, store = sources.streams(), sources.recipe.store
    planned = plan(sources.method, sources.cast, streams, store.open(), draws=draws)
    lean, ticks, before = sources.lean(planned.method), [], peak()
    if draws is not None:
        planned.draw(("train",), 0)  # filled before it is timed
    engine.train(
        lean,
        sources.cast,
        planned.draw,
        sources.fit(streams, "student"),
        listen=lambda kind, facts: ticks.append(time.process_time()) if kind == "step" else None,
    )
    return ticks, before


def by_hand() -> tuple[list[float], float]:
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    tokens = AutoTokenizer.from_pretrained(PLACE / "teacher")
    teacher = AutoModelForCausalLM.from_pretrained(PLACE / "teacher").eval().requires_grad_(False)
    student = LlamaForCausalLM(config(2, 128)).train()
    ids = torch.tensor(tokens((PLACE / "data" / "train.txt").read_text(encoding="utf-8"), verbose=False)["input_ids"])
    optimizer, ticks, before = torch.optim.AdamW(student.parameters(), RATE), [], peak()
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, TIMED)
    for k in range(TIMED):
        rows = torch.stack([ids[(k * ROWS + r) * WIDTH :][:WIDTH] for r in range(ROWS)])
        with torch.no_grad():
            goal = teacher(input_ids=rows, use_cache=False).logits.log_softmax(-1).flatten(0, 1)
        said = student(input_ids=rows, use_cache=False).logits.log_softmax(-1).flatten(0, 1)
        torch.nn.functional.kl_div(said, goal, log_target=True, reduction="batchmean").backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        ticks.append(time.process_time())
    return ticks, before


def by_trl() -> tuple[list[float], float]:
    import pyarrow
    from datasets import Dataset
    from datasets.table import InMemoryTable
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, TrainerCallback
    from trl.experimental.gkd import GKDConfig, GKDTrainer

    tokens = AutoTokenizer.from_pretrained(PLACE / "teacher")
    tokens.pad_token = tokens.eos_token
    tokens.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    teacher = AutoModelForCausalLM.from_pretrained(PLACE / "teacher")
    ids = tokens((PLACE / "data" / "train.txt").read_text(encoding="utf-8"), verbose=False)["input_ids"]
    rows = [ids[k * WIDTH : (k + 1) * WIDTH] for k in range(ROWS * TIMED)]
    talk = [[{"role": "user", "content": ""}, {"role": "assistant", "content": tokens.decode(row)}] for row in rows]
    data = Dataset(InMemoryTable(pyarrow.table({"messages": talk, "row": rows})), fingerprint="wikitext")
    ticks: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_args, **_more):
            ticks.append(time.process_time())

    def collate(items):
        own = torch.tensor([item["row"] for item in items])
        prompt = own[:, :1]
        return {
            "input_ids": own,
            "attention_mask": torch.ones_like(own),
            "labels": own,
            "prompts": prompt,
            "prompt_attention_mask": torch.ones_like(prompt),
        }

    how = GKDConfig(
        output_dir=str(PLACE / "trl"),
        lmbda=0.0,
        beta=0.0,
        temperature=1.0,
        per_device_train_batch_size=ROWS,
        max_steps=TIMED,
        learning_rate=RATE,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        use_cpu=True,
        bf16=False,
        remove_unused_columns=False,
        gradient_checkpointing=False,
    )
    trainer = GKDTrainer(
        model=LlamaForCausalLM(config(2, 128)),
        teacher_model=teacher,
        args=how,
        train_dataset=data,
        processing_class=tokens,
        data_collator=collate,
        callbacks=[Clock()],
    )
    before = peak()
    trainer.train()
    return ticks, before


def speed(rounds: int = 3) -> None:
    prepare()
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            said = subprocess.run(
                [sys.executable, "-m", "bench.language", "step", way],
                capture_output=True,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            if said.returncode:
                print(way, said.stderr.strip().splitlines()[-1][:200] if said.stderr else said.returncode)
                continue
            found[way].append(json.loads(said.stdout.splitlines()[-1]))
            print(way, found[way][-1], flush=True)
    keep(
        "speed",
        {
            way: {key: median(each[key] for each in all_) for key in all_[0]}
            | {"spread": [min(e["ms"] for e in all_), max(e["ms"] for e in all_)]}
            for way, all_ in found.items()
            if all_
        },
    )


# ---------------------------------------------------------------- what it is worth


def run(
    name: str,
    seed: int,
    student: str,
    method: str,
    arguments: dict[str, object],
    steps: int = STEPS,
    draws: int | None = None,
    teacher: str = "teacher",
) -> dict[str, object]:
    import tempfile

    from limbeck.cards.build import build
    from limbeck.engine.turns import last
    from limbeck.runs.session import Session
    from limbeck.runs.sources import open_sources

    with tempfile.TemporaryDirectory() as place:
        finished = last(
            Session(
                open_sources(recipe(student, method, arguments, seed=seed, steps=steps, draws=draws, teacher=teacher)),
                Path(place) / "run",
            ).steps()
        )
        card = build(finished)
    own = card["models"]["student"]
    found = {
        "name": name,
        "seed": seed,
        "steps": own["steps"],
        "perplexity": own["figures"]["perplexity"],
        "kl": own["figures"].get("kl_to_teacher"),
        "agreement": own["figures"].get("agreement_with_teacher"),
        "parameters": own["parameters"],
        "teacher": card["models"]["teacher"]["figures"]["perplexity"] if "teacher" in card["models"] else None,
    }
    print(found, flush=True)
    return found


def quality() -> None:
    prepare()
    torch.set_num_threads(1)
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    rows = known.get("quality", [])
    times = known.get("speed", {})
    live = times.get("chunked", {}).get("ms", 310) * STEPS
    equal = {
        "labels": round(live / times.get("labels alone", {}).get("ms", 133)),
        "drawn": round(live / times.get("stored, 16 drawn", {}).get("ms", 160)),
    }
    plan = [
        ("labels", "small", "alone", {}, STEPS, None),
        ("live", "small", "lm_kd", {"labels": 0.0}, STEPS, None),
        ("16 drawn", "small", "lm_kd", {"labels": 0.0}, STEPS, 16),
        ("live, half labels", "small", "lm_kd", {"labels": 0.5}, STEPS, None),
        ("half of the teacher's size, random, live", "half", "lm_kd", {"labels": 0.0}, STEPS, None),
        ("half of the teacher's layers, live", "cut", "lm_kd", {"labels": 0.0}, STEPS, None),
        ("half of the teacher's layers, labels", "cut", "alone", {}, STEPS, None),
        ("labels, equal time", "small", "alone", {}, equal["labels"], None),
        ("16 drawn, equal time", "small", "lm_kd", {"labels": 0.0}, equal["drawn"], 16),
    ]
    for seed in SEEDS:
        for name, *how in plan:
            if not any(row["name"] == name and row["seed"] == seed for row in rows):
                rows.append(run(name, seed, *how))
                keep("quality", rows)


def tokenizers(seeds: str = "0") -> None:
    """80 steps beside teachers whose tokenizers are others than the student's of 2,048 words."""
    prepare()
    torch.set_num_threads(1)
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    rows = known.get("tokenizers", [])
    for seed in map(int, seeds.split(",")):
        for words in (1024, 4096):
            teacher = prepare_other(words)
            for labels in (0.0, 0.5, 1.0):
                name = f"a teacher of {words:,} words, labels {labels:g}"
                if not any(row["name"] == name and row["seed"] == seed for row in rows):
                    rows.append(run(name, seed, "small", "lm_kd", {"labels": labels}, STEPS, None, teacher))
                    keep("tokenizers", rows)


def keep(key: str, value: object) -> None:
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(known | {key: value}, indent=1) + "\n")


def tables() -> None:
    known = json.loads(RESULTS.read_text())
    hand = known["speed"]["by hand"]["ms"]
    for way, each in known["speed"].items():
        print(f"| {way} | {each['ms']:.0f} | {each['ms'] / hand:.2f} | {each['peak']:.0f} ({each['before']:.0f}) |")
    for name in dict.fromkeys(row["name"] for row in known["quality"]):
        own = [row for row in known["quality"] if row["name"] == name]
        told = {key: [row[key] for row in own] for key in ("perplexity", "kl", "agreement")}
        cells = (f"{sum(v) / len(v):.4g} [{min(v):.4g}, {max(v):.4g}]" for v in told.values())
        print(f"| {name} | {own[0]['steps']} | {' | '.join(cells)} | {len(own)} |")


if __name__ == "__main__":
    what, *rest = sys.argv[1:] or [""]
    if what == "step":
        step(rest[0])
    elif what == "speed":
        speed(*map(int, rest[:1]))
    elif what == "tokenizers":
        tokenizers(*rest[:1])
    else:
        {"quality": quality, "tables": tables}[what]()
