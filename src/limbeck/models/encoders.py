"""Networks without their heads: what they give is an embedding of each sample.

Letters: n samples, t tokens, d features.
"""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from limbeck import models
from limbeck.errors import UserError, reason
from limbeck.files.saved import config_in, folder_of, from_pretrained, read_json_file, weights_in
from limbeck.files.still import still
from limbeck.models import pretrained, zoo
from limbeck.plan.kinds import Value

OUTPUTS = 997  # of the head that a network is made with, by which it is found
HEADS: "WeakKeyDictionary[nn.Module, str]" = WeakKeyDictionary()
"""The path of the head that was left out of a network."""
NOTES: "WeakKeyDictionary[nn.Module, tuple[str, ...]]" = WeakKeyDictionary()
"""What was done with a head when weights were read."""


class Pooled(nn.Module):
    """A model of transformers without a head: (n, d), the mean of its last hidden states over the tokens of the mask, or over
    the places of a picture; its first token where it was trained that way.

    Args:
        model: gives `last_hidden_state`. first: take the first token instead of the mean. image: it takes pictures.
    """

    def __init__(self, model: nn.Module, *, first: bool = False, image: bool = False):
        super().__init__()
        self.model, self.first, self.image = model, first, image
        known = inspect.signature(model.forward).parameters
        self.typed = "token_type_ids" in known

    @property
    def config(self) -> Any:
        return self.model.config

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None) -> Tensor:
        """input_ids: (n, t) int64, or pictures (n, c, h, w)."""
        if self.image:
            return self._mean(self.model(input_ids).last_hidden_state, None)
        given: dict[str, Value] = {"input_ids": input_ids, "attention_mask": attention_mask}
        given |= {"token_type_ids": token_type_ids} if self.typed and token_type_ids is not None else {}
        return self._mean(self.model(**given).last_hidden_state, attention_mask)

    def _mean(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        if hidden.dim() == 4:
            return hidden.mean((-2, -1))
        if self.first:
            return hidden[:, 0]
        if mask is None:
            return hidden.mean(1)
        told = mask.to(hidden.dtype).unsqueeze(-1)
        return (hidden * told).sum(1) / told.sum(1).clamp_min(1.0)


def build(name: str, *, shape: Sequence[int], arguments: dict[str, object] | None = None) -> nn.Module:
    """Build a network as `limbeck.models.build` does, without its head.

    A network that is made for a number of classes has its last linear layer with as many outputs left out; a model of
    transformers is loaded without a head and pooled (see `Pooled`); one of your own that knows no classes stays as it is.

    Raises `UserError` as `limbeck.models.build` does, and where there is no head that could be left out.
    """
    given = dict(arguments or {})
    if folder_of(name) is not None or name.startswith("transformers:"):
        return _pooled(name, tuple(shape), given)
    if name.startswith("timm:"):
        from limbeck.models import outside

        return outside.build(name, 0, tuple(shape), given)
    module = models.build(name, classes=OUTPUTS, shape=shape, arguments=given)
    head = head_of(module, OUTPUTS)
    if head:
        return without_head(module, head)
    if zoo.factory(name) is not None:
        raise UserError(
            f"model {name!r} has no linear head that could be left out of an encoder; take a classifier, such as resnet8"
        )
    return module


def head_of(module: nn.Module, outputs: int) -> str:
    """The path of the last linear layer with so many outputs; "" where there is none."""
    found = [path for path, part in module.named_modules() if isinstance(part, nn.Linear) and part.out_features == outputs]
    return found[-1] if found else ""


def without_head(module: nn.Module, path: str) -> nn.Module:
    """The network with an identity in the place of a layer."""
    parent, _, name = path.rpartition(".")
    setattr(module.get_submodule(parent), name, nn.Identity())
    HEADS[module] = path
    return module


def told(role: str, module: nn.Module) -> list[str]:
    """What a reader needs to know of a role's head, in sentences."""
    left = [f"its head {HEADS[module]!r} is left out"] if module in HEADS else []
    return [f"{role}: {note}" for note in (NOTES.get(module) or left)]


def pooled(module: nn.Module, *, image: bool) -> nn.Module:
    """A model of transformers that was given from Python as an encoder; others stay as they are.

    Raises `UserError` for a model with a head.
    """
    if not pretrained.of_transformers(module):
        return module
    base = getattr(module, "base_model", module)
    if base is not module:
        raise UserError(
            f"{type(module).__name__} has a head; give its {type(base).__name__} alone, model.{module.base_model_prefix}"
        )
    return Pooled(module, image=image)


def _pooled(name: str, shape: tuple[int, ...], arguments: dict[str, object]) -> nn.Module:
    """A model of transformers by folder, type or name, with mean pooling or as its own folder says."""
    from limbeck.models import outside

    folder, image = folder_of(name), len(shape) == 3
    first = _first_token(folder) if folder is not None else False
    with still():
        if folder is not None and weights_in(folder):
            module = _loaded(folder, arguments)
        else:
            module = outside.build(name, 2, shape, {**arguments, "task": "encoder"})
    came = pretrained.CAME.get(module, pretrained.Came())
    _without_pooler(module)
    made = Pooled(module, first=first, image=image)
    how = "the first token" if first else "the mean of the places" if image else "the mean of the tokens of the mask"
    pretrained.CAME[made] = pretrained.Came(came.whole, {}, (*came.notes, f"its embedding is {how}"))
    return made


def _without_pooler(module: Any) -> None:
    """The pooler of BERT and its kin is not read here, and would be trained by nothing."""
    if getattr(module, "pooler", None) is not None:
        module.pooler = None


def _first_token(folder: Path) -> bool:
    """Whether a folder of sentence-transformers pools the first token; refused where it does what cannot be done here."""
    file = folder / "1_Pooling" / "config.json"
    if not file.is_file():
        return False
    said = read_json_file(file)
    modes = {
        key.removeprefix("pooling_mode_") for key, value in said.items() if key.startswith("pooling_mode_") and value is True
    }
    extra = [path.name for path in folder.glob("*_Dense")]
    if len(modes) > 1 or not modes <= {"cls_token", "mean_tokens"} or extra:
        raise UserError(
            f"{folder.name[-60:]} pools by {', '.join(sorted(modes)) or 'nothing'}{' with a dense layer' if extra else ''}; only "
            "mean_tokens or cls_token are read: give a module of your own"
        )
    return modes == {"cls_token"}


def _loaded(folder: Path, arguments: dict[str, object]) -> nn.Module:
    """The encoder of a folder with all of its weights, whatever head stands above it."""
    import transformers

    who, kind = str(folder)[-80:], weights_in(folder)
    trust = arguments.get("trust_remote_code") is True
    if kind == "pickled" and arguments.get("use_safetensors") is not False:
        raise UserError(f"{who} holds weights in a pickle only; save them as safetensors with save_pretrained, or add --trust")
    try:
        config = from_pretrained(transformers.AutoConfig, str(folder), trust_remote_code=trust)
        if not trust:
            pretrained.need_plain(who, config)
        how = {"trust_remote_code": trust, "output_loading_info": True, "use_safetensors": kind == "safetensors"}
        module, info = from_pretrained(transformers.AutoModel, str(folder), config=config, **how)
    except UserError:
        raise
    except Exception as error:  # damaged files, a class of another version
        raise UserError(f"the encoder in {who} cannot be loaded ({reason(error)[:150]}); save it again") from error
    lacking = [str(key) for what in ("missing_keys", "mismatched_keys") for key in info[what] if "pooler" not in str(key)]
    if lacking:
        raise UserError(f"{who} lacks weights of its encoder ({len(lacking)}, such as {lacking[0][:60]}); save it again, whole")
    bad = [name for name, value in module.state_dict().items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if bad:
        raise UserError(f"{who} holds values that are not finite in {bad[0]}; give undamaged weights")
    heads = [str(key) for key in info["unexpected_keys"]]
    notes = [f"the head of {who} was left out ({', '.join(heads[:3])})"] if heads else []
    dtype = str(config_in(folder).get("dtype") or config_in(folder).get("torch_dtype") or "float32")
    notes += [f"{who} was saved in {dtype} and runs in float32"] if dtype != "float32" else []
    found: nn.Module = module.float()
    pretrained.CAME[found] = pretrained.Came(True, {}, tuple(notes))
    return found


def from_config(folder: Path, *, image: bool) -> nn.Module:
    """An encoder with random weights, as the configuration of a run's folder says; no code of the folder's is run.

    Raises `UserError` where no model can be made of it.
    """
    module = pretrained.configured(folder, "AutoModel", "encoder")
    _without_pooler(module)
    return Pooled(module, first=_first_token(folder), image=image)
