"""A run's settings: one schema for the command line, a TOML file (see `recipes`) and Python."""

import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from limbeck.errors import UserError
from limbeck.files.programs import PIECES, innermost, is_address, is_program
from limbeck.files.saved import folder_of, processor_in, tokenizer_of, weights_in
from limbeck.runs import cutting

if TYPE_CHECKING:  # settings are read and checked without PyTorch; what they make brings it
    from torch import nn

    from limbeck.data import Data, Streams
    from limbeck.engine import Fit
    from limbeck.plan import Adapter, Method
    from limbeck.store.shelves import Store

LARGEST = 1e30  # a number that training computes with, well inside float32
METHODS = {"embed": "embedding_match"}  # of tasks that kd is not for
MOST_STEPS = 10**10  # of a training: a year of steps of 3 ms


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_default=True, allow_inf_nan=False)


class DataSettings(_Settings):
    """Which data, and how it is split and augmented."""

    name: str = Field(default="digits", description="data set by name, path, or package.module:function")
    path: str | None = Field(default=None, description="folder of the data's files; default: the cache folder")
    validation: float = Field(default=0.1, gt=0, lt=1, description="share of the training samples held out for validation")
    test: float | None = Field(
        default=None, gt=0, description="share or number of samples held out for testing if the data has no test split"
    )
    labelled: int | None = Field(default=None, ge=1, description="number of labels to keep; the other samples become unlabelled")
    limit: int | None = Field(default=None, ge=1, description="number of training samples to use; default: all")
    augment: str = Field(default="", description="crop,flip,cutout:8,mixup:0.2,randaugment, ...")
    views: int | None = Field(
        default=None,
        ge=1,
        description="number of augmented views per sample, repeated; default: a new one each epoch",
    )
    split_seed: int = Field(default=0, ge=0, description="seed of the splits, the same for all seeds of a run")
    size: tuple[int, int] | None = Field(default=None, description="height and width to scale the images of a folder to")
    tile: int | None = Field(default=None, ge=8, description="side of the square tiles to cut images and masks into")
    void: int | None = Field(default=None, ge=0, description="mask value to ignore, besides 255")
    task: str | None = Field(
        default=None, description="what a table's labels are: classify, numbers, tags; embed: none; default: classify"
    )
    label: str | int | list[str | int] | None = Field(
        default=None, description="column of a table to predict, or a list of columns"
    )
    id: str | None = Field(default=None, description="column of a table that names its samples; it is no feature")
    arguments: dict[str, object] = Field(default_factory=dict, description="of data that is generated or given by a function")
    text: str | list[str] | None = Field(default=None, description="column of a table that holds the texts, or two of a pair")
    tokenizer: str | None = Field(
        default=None, description="folder of the tokenizer that numbers texts; default: that of the teacher's folder"
    )
    longest: int | None = Field(default=None, ge=1, description="most tokens of a text; default: what its model reads")
    download: bool = Field(default=True, description="download published data that is not on disk")
    memory_gb: float = Field(
        default=4.0, ge=0, description="GiB of pictures held in memory; those of a larger folder are read as they are needed"
    )
    metric: str | None = Field(
        default=None, description="package.module:function of predictions and labels: a further figure of your own"
    )
    workers: int = Field(default=0, ge=0, description="worker processes that read a streamed data set")

    def load(self, on_progress: Callable[[str, int, int | None], None] | None = None) -> "Data":
        """The data; on_progress is called with (file name, bytes so far, bytes in all or None) while it downloads.

        Raises `UserError` if it cannot be read.
        """
        from limbeck.data import load
        from limbeck.tasks import with_metric

        own = self.model_dump(exclude={"augment", "views", "workers", "metric"})  # those of batches do not belong to the data
        found = load(own.pop("name"), on_progress=on_progress, **own)
        return found if self.metric is None else replace(found, task=with_metric(found.task, self.metric))

    @property
    def program(self) -> bool:
        """Whether a function of somebody's gives the data, or judges."""
        return is_program(self.name) or self.metric is not None

    def at(self, name: str | None, path: str | None) -> Self:
        """These settings for other data, or for the same data elsewhere."""
        if name is not None:
            return self.model_copy(update={"name": name, "path": path, "arguments": {}})
        return self if path is None else self.model_copy(update={"path": path})


class ModelSettings(_Settings):
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
        if data.tokens is not None:
            return module, texted(role, self.model, module, Adapter(logits=logits, factory=make), data)
        if data.kind == "text" and data.words and self.of_transformers:
            outside.need_own_tokens(self.model, role)
        return module, labelled(module, Adapter(prepare=self.preparation(data), logits=logits, factory=make), data)

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


class MethodSettings(_Settings):
    """Which method, with which settings of its own."""

    name: str = Field(
        default="kd", description="a name of `limbeck methods`; without one distill and plan take auto, other commands kd"
    )
    arguments: dict[str, object] = Field(default_factory=dict, description="its settings; `limbeck methods NAME` lists them")
    why: str | None = Field(default=None, description="why auto chose it, and where the student starts")

    def make(self) -> "Method":
        """The method as a value. Raises `UserError` for an unknown name or setting."""
        from limbeck import methods

        if self.name == "auto":
            raise UserError("auto chooses a method for limbeck distill and limbeck plan; name one here")
        return methods.make(self.name, self.arguments)


class TrainSettings(_Settings):
    """Budget and optimisation, the same for baseline and student."""

    epochs: float = Field(default=30, gt=0, description="passes over the training samples")
    batch: int = Field(default=64, ge=1, description="samples per step")
    optimizer: Literal["sgd", "adam", "adamw"] = Field(default="sgd", description="optimizer")
    lr: float = Field(default=0.05, gt=0, le=LARGEST, description="largest learning rate")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="momentum of sgd")
    weight_decay: float = Field(default=5e-4, ge=0, le=LARGEST, description="weight decay of all weights")
    schedule: Literal["one_cycle", "cosine", "multistep", "constant"] = Field(
        default="one_cycle", description="learning-rate schedule of each stage"
    )
    warmup: float | None = Field(
        default=None, ge=0, lt=1, description="share of steps in which the rate rises; default: 0.3 of one_cycle, else none"
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="share of each label that is spread over all classes")
    class_weights: Literal["none", "balanced"] = Field(
        default="none", description="weight of classes in the loss of labels; balanced: by 1 / training samples, 1 on average"
    )
    best: bool = Field(default=False, description="keep the epoch that scores best on validation; default: the last")
    patience: int | None = Field(
        default=None,
        ge=1,
        description="end training after so many epochs without a better validation score; keeps the best epoch",
    )
    average: float | None = Field(
        default=None, gt=0, lt=1, description="decay of a moving average of the weights, which is kept instead of the last ones"
    )
    clip: float | None = Field(default=None, gt=0, le=LARGEST, description="gradient norm to clip to; default: no clipping")
    accumulate: int = Field(default=1, ge=1, description="micro-batches per step")
    precision: Literal["float32", "bf16", "fp16"] = Field(
        default="float32", description="precision of training; bf16 and fp16 are mixed precision"
    )
    compile: bool = Field(default=False, description="compile models with torch.compile; takes minutes, pays in long runs")
    cuda_graphs: bool = Field(
        default=True, description="on a GPU, record training steps that do the same work every time and replay them"
    )
    tracker: Literal["none", "tensorboard", "mlflow", "wandb", "trackio"] = Field(
        default="none", description="tracker of experiments that hears the curves as they grow, by Accelerate's interface"
    )
    layout: Literal["auto", "channels_last", "contiguous"] = Field(
        default="auto",
        description="memory layout of convolutional networks; auto: channels_last for images of 16 pixels and more",
    )

    def fit(self, steps_per_epoch: int, *, own: ModelSettings | None = None, checkpoint_seconds: float = 60.0) -> "Fit":
        """Budget and optimisation as the engine takes them; own: the settings of a role that is trained first."""
        from limbeck.engine import Fit

        kept = self.model_dump(
            exclude={"epochs", "batch", "lr", "layout", "tracker", "average", "label_smoothing", "class_weights"}
        )
        epochs = (own.epochs if own else None) or self.epochs
        if epochs * steps_per_epoch > MOST_STEPS:
            raise UserError(
                f"{epochs:.3g} epochs are {epochs * steps_per_epoch:.3g} steps, more than can ever be taken; give fewer"
            )
        return Fit(
            steps=max(1, round(epochs * steps_per_epoch)),
            steps_per_epoch=steps_per_epoch,
            lr=(own.lr if own else None) or self.lr,
            checkpoint_seconds=checkpoint_seconds,
            **kept,
        )


class StoreSettings(_Settings):
    """Stored answers: the outputs of a frozen model for a view are computed once and kept on disk."""

    use: bool = Field(default=True, description="store answers of frozen models; false: always run them live")
    path: str | None = Field(default=None, description="folder; default: $LIMBECK_STORE or the user's cache")
    limit_gb: float = Field(default=4.0, gt=0, description="largest size of stored answers in GiB; the rest runs live")
    form: Literal["float32", "float16", "bfloat16", "int8"] = Field(
        default="float32", description="precision of stored answers: exact, 16 bits, or 8 bits with a scale for each answer"
    )
    top_k: int | None = Field(
        default=None,
        ge=1,
        description="store only the k largest teacher probabilities and the sum of the rest; for many classes",
    )
    draws: int | None = Field(
        default=None,
        ge=1,
        description="store only so many classes or words drawn from the teacher's probabilities; for language models",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.top_k is not None and self.draws is not None:
            raise ValueError("top_k and draws cannot both be set; draws are unbiased, top_k keeps the likeliest")
        return self

    def open(self, folder: Path | None = None) -> "Store | None":
        """The store of answers, or None if frozen models run live; folder replaces the setting `path`."""
        from limbeck.store.shelves import Store

        place = folder if folder is not None or self.path is None else Path(self.path)
        return Store(place, limit=int(self.limit_gb * 2**30)) if self.use else None


class Recipe(_Settings):
    """All settings of a run; the defaults distil the handwritten digits."""

    seed: int = Field(default=0, ge=0, description="seed of weights, sample order and augmentation")
    alpha: float = Field(default=0.5, ge=0, le=1, description="weight of size against the score in the distillation score")
    baseline: bool = Field(default=True, description="also train the supervised baseline: the same student without the teacher")
    equal_time: bool = Field(
        default=False, description="also train a baseline for as long as the student took, its teacher's answers included"
    )
    tensorboard: bool = Field(default=False, description="also log to TensorBoard")
    onnx: bool = Field(default=True, description="export the student to ONNX, reload it and compare its predictions")
    device: Literal["auto", "cpu"] = Field(default="auto", description="device to train on")
    checkpoint_seconds: float = Field(default=60.0, ge=0, description="seconds between checkpoints")
    data: DataSettings = Field(default_factory=DataSettings)
    teacher: ModelSettings = Field(default_factory=lambda: ModelSettings(model="cnn", arguments={"width": 64}))
    student: ModelSettings = Field(default_factory=lambda: ModelSettings(model="cnn", arguments={"width": 4}))
    roles: dict[str, ModelSettings] = Field(default_factory=dict, description="further models of the method, by role name")
    method: MethodSettings = Field(default_factory=MethodSettings)
    train: TrainSettings = Field(default_factory=TrainSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    _followed: str = PrivateAttr(default="")

    @property
    def followed(self) -> str:
        """How the training follows from the student, where nothing else was set; "" where it does not."""
        return self._followed

    @model_validator(mode="after")
    def _follow_task(self) -> Self:
        """A task whose labels teach nothing has a method of its own where none is named."""
        if self.data.task in METHODS and "name" not in self.method.model_fields_set:
            self.method = self.method.model_copy(update={"name": METHODS[self.data.task]})
        return self

    @model_validator(mode="after")
    def _cut_pieces(self) -> Self:
        """A student that is to be pieces of its teacher is named by what it is cut out of, and starts from it."""
        own, theirs = self.student, self.teacher
        if cutting.is_pieces(own.model):
            cut = cutting.arguments_of(own.model, own.arguments)
            model, arguments = cutting.cut_out_of(theirs.model, theirs.arguments, cut, answers=theirs.answers is not None)
            self.student = own.model_copy(
                update={"model": model, "arguments": arguments, "start": own.start or "teacher", "sees": own.sees or theirs.sees}
            )
        return self

    @model_validator(mode="after")
    def _follow_folders(self) -> Self:
        """What folders of models say of their inputs goes where nothing else was set: texts are numbered by the tokenizer of the
        teacher, else of the student or another role; an image processor's size, mean and std serve all roles of transformers."""
        self._follow_student()
        named = [settings.model for settings in self.models.values() if settings.answers is None]
        found = next(filter(None, map(tokenizer_of, named)), None)
        if self.data.tokenizer is None and found is not None:
            self.data = self.data.model_copy(update={"tokenizer": found})
        own = {role: processor_in(settings.model) for role, settings in self.models.items()}
        first = next(filter(None, own.values()), None)
        if first is None:
            return self
        if self.data.size is None and first.size is not None:
            self.data = self.data.model_copy(update={"size": first.size})
        for role, settings in self.models.items():
            serves = own[role] or first
            if settings.mean is None and settings.std is None and settings.of_transformers and serves.mean is not None:
                self._set_role(role, settings.model_copy(update={"mean": serves.mean, "std": serves.std}))
        return self

    @model_validator(mode="after")
    def _follow_start(self) -> Self:
        """A student that starts from its teacher gets inputs on the teacher's scale; nobody else starts so."""
        others = [role for role, settings in self.models.items() if role != "student" and settings.start == "teacher"]
        if others:
            raise ValueError(f"start = 'teacher' is for the student, not for the {others[0]}; leave it out there")
        if self.student.start == "teacher":
            self.student = self.student.scaled_as(self.teacher)
        return self

    def _follow_student(self) -> None:
        """A student of transformers is trained by AdamW, with a small rate where it comes with weights, unless it is said how."""
        given = self.train.model_fields_set
        if not self.student.of_transformers or given & {"optimizer", "lr"}:
            return
        folder = folder_of(self.student.model)  # not of one that it is cut out of: that counts by where the student starts
        tuned = self.student.start == "teacher" or (folder is not None and weights_in(folder) != "")
        rate = 3e-4 if tuned else 1e-3
        own = {"optimizer": "adamw", "lr": rate, "weight_decay": 0.01, "clip": 1.0}
        self.train = self.train.model_copy(update={key: value for key, value in own.items() if key not in given})
        self._followed = f"trained by AdamW at a rate of {rate:g}, as is usual for transformers (train.optimizer, train.lr)"

    def _set_role(self, role: str, settings: ModelSettings) -> None:
        if role in ("teacher", "student"):
            setattr(self, role, settings)
        else:
            self.roles = self.roles | {role: settings}

    def streams(self, data: "Data", method: "Method", make: "Callable[..., Streams] | None" = None) -> "Streams":
        """The batches of a run; make: what makes them, `Streams` by default."""
        from limbeck.data import Streams

        return (make or Streams)(
            data,
            size=self.train.batch,
            seed=self.seed,
            augment=self.data.augment,
            views=method.views,
            cycle=self.data.views,
            workers=self.data.workers,
        )

    @property
    def models(self) -> dict[str, ModelSettings]:
        """The models of all roles by name."""
        return {"teacher": self.teacher, "student": self.student, **self.roles}

    @property
    def programs(self) -> bool:
        """Whether a model or the data is a program of somebody's, so that whoever reads a recipe's file has to trust it."""
        inside = [innermost(m.model, m.arguments)[0] for m in self.models.values()]
        named = any(":" in model and not model.startswith(("transformers:", "timm:")) for model in inside)
        return named or self.data.program

    @property
    def on(self) -> str | None:
        """The device for the engine; None lets it choose."""
        return None if self.device == "auto" else self.device
