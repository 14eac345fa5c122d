"""Models out of folders that transformers saved: weights, label names, what their inputs may be; and such a folder of a model.

A folder of a fine-tuned model is a role with weights; one of a config.json alone gives random weights. Nothing in it runs.
Letters: n samples, L places, C classes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from limbeck.errors import UserError, reason
from limbeck.files.saved import config_in, from_pretrained, weights_in
from limbeck.plan.kinds import Value
from limbeck.plan.taps import element


@dataclass(frozen=True)
class Came:
    """What is known of a model from a folder.

    whole: it came with weights for all of its layers. labels: those in its configuration, none where only the size of the model
    counts. notes: in words.
    """

    whole: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


CAME: "WeakKeyDictionary[nn.Module, Came]" = WeakKeyDictionary()


@dataclass(frozen=True)
class Matched:
    """A model's labels beside the data's classes.

    order: (C,) the place of each of the data's classes among the model's labels; () where they agree. note: what a reader needs
    to know of it. mismatch: why the labels cannot be those of the data; "" where they can.
    """

    order: tuple[int, ...] = ()
    note: str = ""
    mismatch: str = ""


class Ordered:
    """Logits (..., C) in the order of the data's classes, out of what a model returns.

    >>> Ordered((1, 0))(torch.tensor([[3.0, 5.0]]))
    tensor([[5., 3.]])
    """

    __name__ = "logits, in the data's order"

    def __init__(self, order: Sequence[int], inner: Callable[[Value], Tensor] | None = None):
        self.order, self.inner = tuple(order), inner

    def __call__(self, output: Value) -> Tensor:
        if self.inner is not None:
            found = self.inner(output)
        else:
            found = output if isinstance(output, Tensor) else element(output, "logits")
        return found[..., list(self.order)]


def matched(own: Mapping[Any, str], names: Sequence[str], who: str) -> Matched:
    """Match labels by name, in any order and case; those called LABEL_0, ... and classes called 0, 1, ... by position.

    Args:
        own: `id2label` of a configuration. names: the data's classes. who: the model, for messages.

    >>> matched({0: "pos", 1: "neg"}, ["neg", "pos"], "it").order
    (1, 0)
    """
    labels = [str(own[key]) for key in sorted(own, key=int)]
    plain = [label.strip().casefold() for label in labels]
    wanted = [str(name).strip().casefold() for name in names]
    if len(set(plain)) == len(plain) == len(wanted) and set(plain) == set(wanted):
        order = tuple(plain.index(name) for name in wanted)
        shown = ", ".join(label[:30] for label in labels[:6])
        return Matched() if order == tuple(range(len(order))) else Matched(order, f"{who}: labels are matched by name ({shown})")
    generic = plain == [f"label_{k}" for k in range(len(plain))]
    counted = wanted == [str(k) for k in range(len(wanted))]
    if len(labels) == len(names) and (generic or counted):
        pairs = ", ".join(f"{a[:30]} = {b[:30]}" for a, b in list(zip(labels, map(str, names), strict=True))[:6])
        why = "the model's labels have no names" if generic else "the data's classes are numbers"
        return Matched(note=f"{who}: {why}, so labels are matched by position: {pairs}")
    if generic:
        return Matched(
            note=f"{who}: its configuration is for {len(labels)} classes without names, where the data has {len(names)}"
        )
    ours, theirs = (", ".join(str(n)[:16] for n in list(each)[:4]) for each in (names, labels))
    return Matched(
        mismatch=f"{who} knows the labels {theirs}, but the data has {ours}; name the data's classes as the model does"
    )


def of_transformers(module: nn.Module) -> bool:
    """Whether a module is a model of transformers, of a class of its own."""
    home = type(module).__module__
    return home.startswith("transformers.") and not home.startswith("transformers_modules") and hasattr(module, "config")


def labels_of(module: nn.Module, names: Sequence[str], who: str) -> Matched:
    """How the labels of a module are matched with the data's; as they are for one that is no model of transformers."""
    came = CAME.get(module)
    own = came.labels if came is not None else getattr(module.config, "id2label", None) if of_transformers(module) else None
    return matched(own, names, who) if own and names else Matched()


def labels_to_keep(own: Mapping[Any, str], names: Sequence[str]) -> dict[int, str]:
    """`id2label` of a model that learned the data's classes: its own where they are matched, else the data's names.

    >>> labels_to_keep({0: "LABEL_0", 1: "LABEL_1"}, ["no", "yes"])
    {0: 'no', 1: 'yes'}
    """
    found = matched(own, names, "the model")
    plain = all(str(name).casefold() == f"label_{k}" for k, name in own.items())
    kept = not found.mismatch and not plain and len(own) == len(names)
    return {int(k): str(name) for k, name in own.items()} if kept else dict(enumerate(map(str, names)))


def need_fitting(module: nn.Module, longest: int, tokens: int, who: str) -> None:
    """Refuse texts with more tokens than a model has positions, or of more kinds than it knows.

    Args:
        longest: L of the data. tokens: V, the size of the tokenizer's vocabulary.
    """
    config = getattr(module, "config", None)
    known = getattr(config, "vocab_size", None)
    if isinstance(known, int) and known < tokens:
        raise UserError(f"{who} knows {known:,} tokens, but the tokenizer has {tokens:,}; set its vocab_size = {tokens}")
    most = places(module)
    if most is not None and longest > most:
        raise UserError(
            f"{who} reads at most {most} tokens, but the longest text here has {longest}; set data.longest = {most}, or give a "
            "model that reads more"
        )


def places(module: nn.Module) -> int | None:
    """The most tokens that a model of transformers has positions for; None where that is not known."""
    known = getattr(getattr(module, "config", None), "max_position_embeddings", None)
    table = next((part for name, part in module.named_modules() if name.endswith("position_embeddings")), None)
    first = (table.padding_idx + 1) if isinstance(table, nn.Embedding) and table.padding_idx is not None else 0
    return known - first if isinstance(known, int) and known > first else None


def built(folder: Path, auto: Any, config: Any, arguments: Mapping[str, object]) -> tuple[nn.Module, Came]:
    """A model of a folder with its weights; drawn at random where it holds a configuration alone.

    arguments: trust_remote_code, use_safetensors = False for weights in a file of torch's, which is still read as tensors only.

    Raises `UserError` for weights that are no safetensors, are damaged, or are not there for the body of the model.
    """
    who, trust = str(folder)[-80:], arguments.get("trust_remote_code") is True
    kind = weights_in(folder)
    if not kind:
        if any(folder.glob("*.safetensors")) or any(folder.glob("*.h5")) or any(folder.glob("*.msgpack")):
            raise UserError(f"{who} has weights, but no model.safetensors; save it again with save_pretrained")
        made = auto.from_config(config, trust_remote_code=trust)
        return made, Came(notes=(f"{who} holds a configuration alone: its weights are drawn at random",))
    if kind == "pickled" and arguments.get("use_safetensors") is not False:
        raise UserError(f"{who} holds weights in a pickle only; save them as safetensors with save_pretrained, or add --trust")
    how = {"ignore_mismatched_sizes": True, "weights_only": True, "use_safetensors": kind == "safetensors"}
    try:
        module, info = from_pretrained(auto, str(folder), config=config, trust_remote_code=trust, output_loading_info=True, **how)
    except UserError:
        raise
    except Exception as error:  # damaged files, a class of another version
        raise UserError(f"the model in {who} cannot be loaded ({reason(error)[:150]}); save it again") from error
    return module.float(), _came(module, info, who, config_in(folder))


def need_plain(name: str, config: Any) -> None:
    """A configuration that was loaded may not name kernels, which are programs to be downloaded."""
    parts = [config, *(part for part in vars(config).values() if hasattr(part, "model_type"))]
    values = [value for part in parts for key, value in vars(part).items() if "implementation" in key or "kernel" in key]
    if any("/" in str(value) for value in values):
        raise UserError(
            f"{name[-80:]}: its configuration names a kernel to download, which would run code of others; "
            "remove it, or set the model's argument trust_remote_code = true"
        )


HEADS = {
    "image-classification": "AutoModelForImageClassification",
    "sequence-classification": "AutoModelForSequenceClassification",
    "causal-lm": "AutoModelForCausalLM",
    "token-classification": "AutoModelForTokenClassification",
}
"""Classes of transformers by the kind of answer that their heads give."""


OF_TASKS = {"next_token": "causal-lm", "token_classification": "token-classification"}
"""The kind of head that a task needs, whatever the data are."""


def head_for(kind: str, task: str) -> str:
    """The kind of head, of `HEADS`, for data of a kind and a task.

    >>> head_for("text", "next_token"), head_for("image", "classify")
    ('causal-lm', 'image-classification')
    """
    return OF_TASKS.get(task) or ("image-classification" if kind == "image" else "sequence-classification")


def from_config(folder: Path, head: str) -> nn.Module:
    """A model of transformers with random weights, as the configuration of a folder says; no code of the folder's is run.

    head: a key of `HEADS`. Raises `UserError` where there is none with such a head.
    """
    return configured(folder, HEADS[head], "model")


def configured(folder: Path, kind: str, what: str) -> nn.Module:
    """What a class of transformers makes of a folder's configuration, in float32; what: its name in messages."""
    try:
        import transformers

        auto = getattr(transformers, kind)
        config = from_pretrained(transformers.AutoConfig, str(folder), trust_remote_code=False)
        need_plain(str(folder), config)
        module: nn.Module = auto.from_config(config, trust_remote_code=False)
    except ModuleNotFoundError as error:
        raise UserError('transformers is not installed; run: pip install "limbeck[transformers]"') from error
    except UserError:
        raise
    except Exception as error:  # a damaged configuration, one of another version
        raise UserError(f"no {what} can be made of {folder}/config.json ({reason(error)[:150]})") from error
    return module.float()


def _came(module: nn.Module, info: Mapping[str, Any], who: str, config: Mapping[str, object]) -> Came:
    new = sorted(
        {str(key[0] if isinstance(key, tuple) else key) for what in ("missing_keys", "mismatched_keys") for key in info[what]}
    )
    bad = [name for name, value in module.state_dict().items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if bad:
        raise UserError(f"{who} holds values that are not finite in {bad[0]}; give undamaged weights")
    body = f"{module.base_model_prefix}."
    gone = [name for name in new if name.startswith(body) and "pooler" not in name]
    if gone:
        raise UserError(f"{who} lacks weights of its own model ({len(gone)}, such as {gone[0]}); save it again, whole")
    notes = [f"{who} has no weights for {', '.join(new[:4])}: drawn at random"] if new else []
    dtype = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    notes += [f"{who} was saved in {dtype} and runs in float32"] if dtype != "float32" else []
    labels = config.get("id2label") or ({} if new else module.config.id2label)  # type: ignore[union-attr]
    return Came(not new, labels if isinstance(labels, dict) else {}, tuple(notes))
