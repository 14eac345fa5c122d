"""One table of settings over the catalogue: a method without a row fails `test_contract.py`.

Descriptions are stored under `descriptions/`; after a change that is meant, write them again with
`PYTHONPATH=src python -m tests.contract.settings`, and read the difference.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if str(Path(__file__).parents[1]) not in sys.path:  # for `python -m`; under pytest it is there already
    sys.path.insert(0, str(Path(__file__).parents[1]))

from toy import CLASSES, SHAPE, Toy, as_boxes, as_frames, as_next, as_numbers, as_text, as_words, build, fit_of

from limbeck import methods
from limbeck.catalogue.describe import describe
from limbeck.catalogue.taxonomy import Taxonomy
from limbeck.data.text import Words
from limbeck.data.tokens import TokenInputs
from limbeck.plan.roles import Adapter, Cast

DESCRIPTIONS = Path(__file__).parent / "descriptions"


@dataclass(frozen=True)
class Row:
    """What a small run of one method needs, and where the surveys place it.

    roles: role -> (model, arguments of the model). place: knowledge, scheme, own, ratio, chain, deploys.
    still: parameters that a stage trains but that cannot move in this setting, with the reason beside them.
    shape, change: of the toy's inputs, and what makes them and their labels of its pictures.
    """

    roles: dict[str, tuple[str, dict[str, Any]]]
    place: tuple[str, str, bool, str, bool, str]
    arguments: dict[str, Any] = field(default_factory=dict)
    fit: dict[str, Any] = field(default_factory=dict)
    still: tuple[str, ...] = ()
    shape: tuple[int, ...] = SHAPE
    change: Callable[[dict[str, Any], int], dict[str, Any]] | None = None


STUDENT = {"student": ("cnn", {"width": 2})}
PAIR = {"teacher": ("cnn", {"width": 4}), **STUDENT}
EQUAL = {"teacher": ("cnn", {"width": 2}), **STUDENT}
CROWD = {**PAIR, "teacher_2": ("cnn", {"width": 3}), "teacher_3": ("cnn", {"width": 4})}
SOFT = ("soft labels", "offline", False, "1-1", False, "student")
DEEP = ("other parts", "offline", False, "1-1", False, "student")
DETECTORS = {"teacher": ("detector", {"width": 4, "stride": 4}), "student": ("detector", {"width": 2, "stride": 4})}
ONLINE = ("soft labels", "online", False, "1-1", False, "student")  # survey A, table 1, online
TOGETHER = ("soft labels", "online", True, "n-n", False, "student")  # the target is made of the learners' own answers
PEERS = {**STUDENT, "peer": ("cnn", {"width": 2})}
THREE = {**STUDENT, **{f"peer_{k}": ("cnn", {"width": 2}) for k in (1, 2, 3)}}
MANY = ("soft labels", "offline", False, "n-1", False, "student")
VOTERS = {**STUDENT, **{f"teacher_{k}": ("cnn", {"width": 2}) for k in (1, 2, 3)}}
SPEAKERS = {"teacher": ("lstm", {"width": 4, "directions": 2, "per_frame": 1}), "student": ("lstm", {"width": 3, "per_frame": 1})}
WRITERS = {"teacher": ("seq2seq", {"width": 6, "beams": 2, "longest": 4}), "student": ("seq2seq", {"width": 4, "longest": 4})}
BERT = {"vocab_size": 5, "num_attention_heads": 4, "intermediate_size": 8, "max_position_embeddings": 4}
TEXT = {
    "teacher": ("transformers:bert", BERT | {"hidden_size": 8, "num_hidden_layers": 4}),
    "student": ("transformers:bert", BERT | {"hidden_size": 8, "num_hidden_layers": 2}),
}
SMALL_TEXT = TEXT | {"student": ("transformers:bert", BERT | {"hidden_size": 4, "num_hidden_layers": 2})}
KEYS = tuple(f"student.bert.encoder.layer.{k}.attention.self.key.bias" for k in (0, 1))  # softmax takes no notice of them
LLAMA = {"task": "causal-lm", "vocab_size": CLASSES, "num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 8}
LLAMA |= {"max_position_embeddings": 8, "eos_token_id": None, "bos_token_id": None, "pad_token_id": None}
LANGUAGE = {
    "teacher": ("transformers:llama", LLAMA | {"hidden_size": 8, "num_hidden_layers": 2}),
    "student": ("transformers:llama", LLAMA | {"hidden_size": 4, "num_hidden_layers": 1}),
}
NONE = ("none", "offline", False, "0-1", False, "student")

ROWS: dict[str, Row] = {
    "activation_boundary": Row(PAIR, DEEP),
    "adaptive": Row(PAIR, SOFT),
    "adversarial": Row(PAIR, DEEP),
    "afd": Row(PEERS, ("other parts", "online", False, "n-n", False, "student")),
    "alone": Row(STUDENT, NONE),
    "alone_tree": Row({"student": ("tree", {"depth": 3})}, NONE),
    "apprentice_joint": Row(PAIR, ONLINE),
    "apprentice_taught": Row(PAIR, SOFT),
    "apprentice_tuned": Row(PAIR, SOFT),
    "assistant": Row({**PAIR, "assistant": ("cnn", {"width": 3})}, ("soft labels", "offline", False, "n-n", True, "student")),
    "attention": Row(PAIR, DEEP),
    "attention_angle": Row(PAIR, DEEP),
    "attention_paper": Row(PAIR, DEEP),
    "between": Row(PAIR, SOFT),
    "born_again": Row(STUDENT, ("soft labels", "offline", True, "1-1", True, "student")),
    "clean_labels": Row(PAIR, SOFT),
    "compose": Row(PAIR, SOFT),
    "contrastive_pairs": Row(LANGUAGE, SOFT, shape=(4,), change=as_next),
    "contrastive_representation": Row(PAIR, DEEP, arguments={"samples": 200, "negatives": 16, "size": 8}),
    "correlation_congruence": Row(PAIR, DEEP),
    "correlation_congruence_code": Row(PAIR, DEEP),
    "cross_modal": Row(PAIR, DEEP),
    "cross_task": Row(PAIR, DEEP),
    "ctc_delayed": Row(SPEAKERS, SOFT, shape=(8, 8), change=as_frames, fit={"lr": 0.01}),
    "ctkd": Row(PAIR, SOFT),
    "ctkd_instance": Row(PAIR, SOFT),
    "cwd": Row(PAIR, DEEP),
    "data_distillation": Row(PAIR, SOFT),
    "dense_hints": Row(PAIR, DEEP, arguments={"at": "layer2"}),
    "densely_guided": Row(
        {**PAIR, "assistant": ("cnn", {"width": 3})}, ("soft labels", "offline", False, "n-n", True, "student")
    ),
    "detection": Row(DETECTORS, DEEP, change=as_boxes),
    "detection_gan": Row(DETECTORS, DEEP, change=as_boxes),
    "differentiable_quantisation": Row(
        PAIR,
        SOFT,
        still=tuple(  # stage 2 keeps every weight's place and learns the levels
            f"student.{layer}.parametrizations.weight.original" for layer in ("layer1.0.0", "layer2.0.0", "layer3.0.0", "linear")
        ),
    ),  # fmt: skip
    "dist": Row(PAIR, SOFT),
    "distilbert": Row(TEXT, DEEP, shape=(4,), change=as_text, still=KEYS),
    "dkd": Row(PAIR, SOFT),
    "factor_transfer": Row(PAIR, DEEP),
    "factor_transfer_code": Row(PAIR, DEEP),
    "few_shot": Row({"teacher": ("gp", {"points": 64}), **STUDENT}, SOFT, arguments={"size": 6, "periods": 2, "moves": 2}),
    "ffl": Row(PEERS, ("other parts", "online", True, "n-n", False, "student")),
    "fine_grained": Row(DETECTORS, DEEP, change=as_boxes),
    "embedding_match": Row(PAIR, DEEP),
    "fitnets": Row(PAIR, DEEP),
    "fsp": Row(EQUAL, DEEP),
    "fsp_code": Row(EQUAL, DEEP),
    "funmatch": Row(PAIR, SOFT),
    "generalised_distillation": Row(PAIR, SOFT),
    "gradual": Row(PAIR, ONLINE),
    "global_local": Row(PAIR, DEEP, arguments={"size": 20, "shared": False}),
    "irg": Row(PAIR, DEEP),
    "kd": Row(PAIR, SOFT),
    "kd_attention": Row(PAIR, DEEP),
    "kd_standardised": Row(PAIR, SOFT),
    "kdcl_general": Row(PEERS, TOGETHER),
    "kdcl_linear": Row(PEERS, TOGETHER),
    "kdcl_minlogit": Row(PEERS, TOGETHER),
    "kdcl_naive": Row(PEERS, TOGETHER),
    "knowledge_adaptation": Row(PAIR, DEEP),
    "label_refinery": Row(STUDENT, ("soft labels", "offline", True, "1-1", True, "student")),
    "ladder": Row(STUDENT, ("other parts", "online", True, "1-1", False, "a branch of student")),
    "logit_regression": Row(PAIR, DEEP, fit={"lr": 0.01}),  # logits as values, not probabilities
    "lsl": Row(PAIR, DEEP),
    "lupi": Row(PAIR, SOFT),
    "mean_teacher": Row(STUDENT, ("soft labels", "online", True, "1-1", False, "student")),
    "mgd": Row(PAIR, DEEP),
    "mgd_code": Row(PAIR, DEEP),
    "mlkd": Row(PAIR, SOFT),
    "mutual": Row({**STUDENT, "peer": ("cnn", {"width": 3})}, ("soft labels", "online", False, "n-n", False, "student")),
    "neuron_selectivity": Row(PAIR, DEEP),
    "nkd": Row(PAIR, SOFT),
    "noisy_teacher": Row(PAIR, DEEP, fit={"lr": 0.01}),
    "norm_direction": Row(PAIR, DEEP),
    "ofa": Row(PAIR, SOFT),
    "okddip": Row(THREE, TOGETHER),
    "okddip_branches": Row(STUDENT, ("soft labels", "online", True, "1-1", False, "student")),
    "okddip_code": Row(THREE, TOGETHER),
    "on_policy": Row(LANGUAGE, SOFT, shape=(4,), change=as_next, arguments={"slots": 16}),
    "one": Row(STUDENT, ("soft labels", "online", True, "1-1", False, "student")),
    "own_teacher": Row(STUDENT, ("other parts", "online", True, "1-1", False, "student")),
    "pate": Row(VOTERS, MANY, arguments={"teachers": 3}),
    "pkd": Row(PAIR, DEEP),
    "pkt": Row(PAIR, DEEP, arguments={"weight": 100.0}),
    "qkd": Row(PAIR, ("soft labels", "online", False, "n-n", True, "student")),
    "quantised_distillation": Row(PAIR, SOFT),
    "rco": Row(PAIR, ONLINE),
    "rco_greedy": Row(PAIR, ONLINE, arguments={"candidates": 3, "stops": 3}),
    **{f"records_{kind}": Row(PAIR, DEEP, arguments={"size": 6}) for kind in ("all", "spectral", "top")},
    "review": Row(PAIR, DEEP),
    "rkd": Row(PAIR, DEEP, fit={"lr": 0.01}),
    "rld": Row(PAIR, SOFT),
    "rocket": Row(STUDENT, ("other parts", "online", True, "1-1", False, "student")),
    "seed_similarity": Row(PAIR, DEEP, arguments={"size": 20}),
    "sequence_level": Row(WRITERS, SOFT, shape=(4,), change=as_words),
    "simclr_semi": Row(PAIR, SOFT),
    "similarity": Row(PAIR, DEEP, arguments={"gamma": 10.0}),
    "simkd": Row(PAIR, ("other parts", "offline", False, "1-1", False, "a branch of student")),
    "lm_kd": Row(PAIR, SOFT),
    "skewed": Row(PAIR, SOFT),
    "soft_tree": Row({"teacher": ("cnn", {"width": 4}), "student": ("tree", {"depth": 3})}, SOFT),
    "specialists": Row(PAIR, MANY),
    "srd": Row(PAIR, DEEP),
    "sskd": Row(PAIR, DEEP),
    "stage_by_stage": Row(PAIR, DEEP),
    "streams": Row(CROWD, MANY, arguments={"teachers": ("teacher", "teacher_2", "teacher_3")}),
    "structured": Row(PAIR, DEEP),
    "structured_code": Row(PAIR, DEEP),
    "taid": Row(PAIR, SOFT),
    "teacher_bounded": Row(PAIR, DEEP, change=as_numbers),
    "teachers_each": Row(CROWD, MANY),
    "teachers_gate": Row(CROWD, MANY),
    "teachers_mean": Row(CROWD, MANY),
    "teachers_switch": Row(CROWD, MANY),
    "teachers_trusted": Row(CROWD, MANY),
    "teachers_voted": Row(CROWD, ("other parts", "offline", False, "n-1", False, "student")),
    "temporal_ensembling": Row(STUDENT, ("soft labels", "online", True, "1-1", False, "student"), arguments={"samples": 200}),
    "tinybert": Row(SMALL_TEXT, DEEP, shape=(4,), change=as_text, still=KEYS),
    "variational_information": Row(PAIR, DEEP),
    "wkd_feature": Row(PAIR, DEEP),
    "wkd_logit": Row(PAIR, DEEP),
    "zero_shot": Row(PAIR, SOFT, arguments={"size": 6}),
}


def method_of(name):
    return methods.find(name)(**ROWS[name].arguments)


def cast_for(name, relu_in_place=False):
    cast = Cast({})
    for number, (role, (model, arguments)) in enumerate(ROWS[name].roles.items()):
        module = build(model, seed=number, shape=ROWS[name].shape, **arguments)
        text = Words() if model.startswith("transformers:") else None
        language = TokenInputs(CLASSES, 0, ("input_ids", "use_cache"))
        cast.add(role, module, Adapter(prepare=language if ROWS[name].change is as_next else text))
        for part in module.modules() if relu_in_place and role.startswith("teacher") else ():
            if hasattr(part, "inplace"):
                part.inplace = True
    return cast


def fit_for(name, **changes):
    return fit_of(**({"steps": 6} | ROWS[name].fit | changes))


def draw_for(name):
    return Toy(views=tuple(method_of(name).views), change=ROWS[name].change)


def place_of(name):
    return Taxonomy(*ROWS[name].place)


def main():
    for name, declare in methods.CATALOGUE.items():
        (DESCRIPTIONS / f"{name}.txt").write_text(describe(declare()) + "\n", encoding="utf-8")
    for path in DESCRIPTIONS.glob("*.txt"):
        if path.stem not in methods.CATALOGUE:
            path.unlink()


if __name__ == "__main__":
    main()
