"""A run's settings: one schema for the command line, a TOML file (see `recipes`) and Python."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from limbeck.errors import UserError
from limbeck.files.programs import innermost, is_program
from limbeck.files.saved import folder_of, processor_in, tokenizer_of, weights_in
from limbeck.runs import cutting
from limbeck.runs.decided import Decided
from limbeck.runs.model_settings import ModelSettings as ModelSettings
from limbeck.runs.schema import Settings
from limbeck.runs.train_settings import TrainSettings as TrainSettings

if TYPE_CHECKING:  # settings are read and checked without PyTorch; what they make brings it
    from limbeck.data import Data, Streams
    from limbeck.plan import Method
    from limbeck.store.shelves import Store

METHODS = {"embed": "embedding_match"}  # of tasks that kd is not for


class DataSettings(Settings):
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


class MethodSettings(Settings):
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


class StoreSettings(Settings):
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


class Recipe(Settings):
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
    decided: Decided = Field(default_factory=Decided, description="what a run found out before its trainings; it fills this in")
    _followed: str = PrivateAttr(default="")

    @property
    def followed(self) -> str:
        """How the training follows from the student, where nothing else was set; "" where it does not."""
        return self._followed

    def undecided(self) -> Self:
        """These settings without what a run found out for them."""
        return self.model_copy(update={"decided": Decided()})

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
        student, else of the teacher or another role; an image processor's size, mean and std serve all roles of transformers."""
        self._follow_student()
        named = [self.student.model, *(settings.model for settings in self.models.values() if settings.answers is None)]
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
        learned = [role for role, settings in self.models.items() if role != "student" and settings.lora is not None]
        if learned or (self.student.lora is not None and self.student.start == "teacher"):
            raise ValueError("lora is for a student that comes with weights of its own; leave it out")
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
