"""The settings of a training: budget and optimisation, the same for baseline and student."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from limbeck.errors import UserError
from limbeck.runs.model_settings import ModelSettings
from limbeck.runs.schema import LARGEST, Settings

if TYPE_CHECKING:  # settings are read and checked without PyTorch; what they make brings it
    from limbeck.engine import Fit

MOST_STEPS = 10**10  # of a training: a year of steps of 3 ms


class TrainSettings(Settings):
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
    probe: bool | None = Field(
        default=None,
        description="before a training, try a third and three times its rate in a tenth of the budget, on validation; the same "
        "for baseline and student; default: of compare and shrink only",
    )
    balance: bool | None = Field(
        default=None,
        description="weigh lessons that pull much harder or less than in their paper's setting; default: of methods that state "
        "it, unless a number of theirs is set; false: as published",
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
            exclude={
                "epochs",
                "batch",
                "lr",
                "layout",
                "tracker",
                "average",
                "balance",
                "probe",
                "label_smoothing",
                "class_weights",
            }
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
