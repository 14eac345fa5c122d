"""The settings of one role: its model, weights, preprocessing, and the module that is made of them."""

import zlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from limbeck.errors import UserError
from limbeck.files.programs import PIECES, innermost, is_address
from limbeck.files.saved import folder_of
from limbeck.runs import cutting
from limbeck.runs.schema import LARGEST, Settings

if TYPE_CHECKING:  # settings are read and checked without PyTorch; what they make brings it
    from torch import nn

    from limbeck.data import Data
    from limbeck.plan import Adapter


class ModelSettings(Settings):
    """One role: its architecture, weights and preprocessing."""

    model: str = Field(
        description="built-in name, folder with a config.json, file.onnx, http://address, package.module:factory, "
        "transformers:NAME or timm:NAME; of a student also pieces:layers=N or pieces:depth=SHARE of the teacher"
    )
    arguments: dict[str, object] = Field(default_factory=dict, description="keyword arguments of the factory")
    weights: str | None = Field(default=None, description="safetensors or state_dict file to start from")
    answers: str | None = Field(
        default=None, description="file of a frozen role's answers in place of a model: .npy, .npz, .csv, .parquet"
    )
    answers_as: Literal["auto", "probabilities", "logits", "votes", "labels"] = Field(
        default="auto", description="what the numbers in the file of answers are"
    )
    answers_id: str | None = Field(default=None, description="column of the file of answers that names the samples")
    start: Literal["random", "teacher"] | None = Field(
        default=None, description="where a student starts: random, or teacher, its teacher's layers; default: teacher for pieces"
    )
    mean: tuple[float, ...] | None = Field(default=None, description="per channel, on 0..1; default: the data's")
    std: tuple[float, ...] | None = Field(default=None, description="per channel, on 0..1; default: the data's")
    sees: str = Field(default="", description="part of each sample that this role gets: bands:0:20, ...; default: all")
    classes: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="number of classes of a teacher that was trained on others; only its layers are used",
    )
    lora: int | None = Field(
        default=None, ge=1, le=4096, description="rank of the adapters that alone are trained (LoRA), of a student with weights"
    )
    epochs: float | None = Field(default=None, gt=0, description="epochs if it is trained first; default: the run's")
    lr: float | None = Field(
        default=None, gt=0, le=LARGEST, description="learning rate if it is trained first; default: the run's"
    )

    def build(self, role: str, data: "Data", seed: int) -> "tuple[nn.Module, Adapter]":
        """The role's module, initialised from the seed or from its weights file, and its adapter."""
        import torch

        from limbeck import models
        from limbeck.data.views.seen import shape_seen
        from limbeck.models import encoders, outside
        from limbeck.models.black_box import BlackBox
        from limbeck.models.served import Served
        from limbeck.plan import Adapter
        from limbeck.runs.texts import labelled, texted

        if self.answers is not None:
            return self._looked_up(role, data), Adapter()
        if self.served:
            return Served(self.model, data.classes, data.texts, self.arguments), Adapter()
        classes, shape = self.classes or data.outputs, shape_seen(self.sees, tuple(data.shape))
        make = partial(models.build, self.model, classes=classes, shape=shape, arguments=self.own_arguments(data))
        if data.task.headless:
            make = partial(encoders.build, self.model, shape=shape, arguments=self.own_arguments(data))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed((seed * 1_000_003 + zlib.crc32(role.encode())) % 2**62)
            module = make()
        logits = data.task.finder(classes, tuple(data.shape))
        if isinstance(module, BlackBox):  # it answers in the labels' own units
            return module, Adapter(prepare=self.preparation(data), factory=make)
        if self.weights is not None:
            whole = "" if role != "student" or data.task.headless else encoders.head_of(module, classes)
            told = models.load_weights(module, Path(self.weights), who=role, head=encoders.HEADS.get(module, ""), headless=whole)
            encoders.NOTES[module] = tuple(note for note in told if "head" in note)
        if self.lora is not None:
            module = self._with_adapters(module, role, seed)
        if data.tokens is not None:
            return texted(role, self.model, module, Adapter(logits=logits, factory=make), data)
        if data.kind == "text" and data.words and self.of_transformers:
            outside.need_own_tokens(self.model, role)
        return module, labelled(module, Adapter(prepare=self.preparation(data), logits=logits, factory=make), data)

    def _with_adapters(self, module: "nn.Module", role: str, seed: int) -> "nn.Module":
        """The same module with adapters, drawn from the seed. Raises `UserError` where its weights are drawn at random."""
        import torch

        from limbeck.models import lora, outside

        assert self.lora is not None
        if self.weights is None and not outside.came_trained(module):
            raise UserError(
                f"{role}.lora trains adapters beside weights that stay as they are, but the {role}'s are drawn at random; give a "
                "folder with weights, or leave it out"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed((seed * 1_000_003 + zlib.crc32(f"{role} adapters".encode())) % 2**62)
            return lora.adapted(module, self.lora, f"the {role}")

    def scaled_as(self, teacher: "ModelSettings") -> "ModelSettings":
        """The same with the teacher's mean and standard deviation where it has none of its own: what its layers know."""
        own = self.mean is not None or self.std is not None
        return self if own else self.model_copy(update={"mean": teacher.mean, "std": teacher.std})

    @property
    def served(self) -> bool:
        """Whether it is asked at an address."""
        return is_address(self.model)

    @property
    def of_transformers(self) -> bool:
        inside = innermost(self.model, self.arguments)[0]
        return inside.startswith("transformers:") or folder_of(inside) is not None

    def own_arguments(self, data: "Data") -> dict[str, object]:
        """Its arguments; a model of transformers gets a head for every token where these are asked for, and one that is a type
        alone the size of the tokenizer's vocabulary, if it is not given."""
        if data.tokens is None or not self.of_transformers:
            return self.arguments
        from limbeck.models.pretrained import OF_TASKS

        inside, own = innermost(self.model, self.arguments)
        head = {"task": OF_TASKS[data.task.name]} if data.task.name in OF_TASKS else {}
        facts = data.tokens.facts
        sizes = {} if folder_of(inside) is not None else {"vocab_size": facts["vocabulary"], "pad_token_id": facts["pad"]}
        filled = {**head, **sizes, **own}
        return filled if inside == self.model else {**self.arguments, "arguments": filled}

    def _looked_up(self, role: str, data: "Data") -> "nn.Module":
        from limbeck.data import answers
        from limbeck.models.answers import Answers

        assert self.answers is not None
        if self.weights is not None or self.sees or self.classes is not None:
            raise UserError(
                f"the {role} is a file of answers, which has no weights, views or classes of its own; leave those out"
            )
        found = answers.read(self.answers, data, meaning=self.answers_as, ids=self.answers_id)
        return Answers(found.rows, found.at, Path(self.answers).name, found.said)

    @property
    def called(self) -> str:
        """What it is, for readers: the model's name, its file of answers, or what it is cut out of."""
        if self.model == PIECES:
            return cutting.words(self.arguments)
        return self.model if self.answers is None else f"answers in {Path(self.answers).name}"

    def comes_trained(self, data: "Data") -> bool:
        """Whether the role need not be trained first: it has a file of weights, or is one of a trained network, unless its epochs
        or learning rate say that it is to be trained all the same."""
        from limbeck.models import outside, zoo

        if self.answers is not None or self.served:
            return True
        if self.weights is not None or self.epochs is not None or self.lr is not None or zoo.factory(self.model) is not None:
            return self.weights is not None
        return outside.came_trained(self.build("teacher", data, 0)[0])

    def preparation(self, data: "Data") -> "nn.Module | None":
        """The preprocessing of the role's inputs: its own normalisation, or the data's."""
        from limbeck.data.text import Words
        from limbeck.data.views.seen import RoleInputs, seen_in
        from limbeck.plan import Normalise

        if data.kind == "text" and self.of_transformers:
            return Words()
        if self.sees:
            scaled = self.mean is not None and self.std is not None
            return RoleInputs(self.sees, self.mean or (), self.std or ()) if scaled else seen_in(self.sees, data)
        scaled_inside = self.model.endswith(".onnx")  # as exported students are; others are given mean and std
        mean = (() if scaled_inside else data.mean) if self.mean is None else self.mean
        std = (() if scaled_inside else data.std) if self.std is None else self.std
        return Normalise(tuple(mean), tuple(std)) if mean or std else None
