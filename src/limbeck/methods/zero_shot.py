"""No data at all: inputs made from what the teacher believes."""

from functools import partial

import torch

from limbeck import losses
from limbeck.connectors import ImpressionBank, Impressions
from limbeck.methods._terms import soft
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.taps import Field, State, Tap
from limbeck.transforms import tempered


@method(paper="Nayak et al. 2019, Zero-Shot Knowledge Distillation in Deep Networks, arXiv 1905.08114", year=2019)
def zero_shot(
    size: int = 1000,
    betas: tuple[float, ...] = (1.0, 0.1),
    head: str = "linear.weight",
    temperature: float = 20.0,
    rate: float = 0.05,
    shift: int = 1,
    share: float = 1.0,
) -> Method:
    """Stage 1 makes data impressions, inputs to which the teacher gives answers drawn from Dirichlet
    distributions over its own class similarities; stage 2 distils on them alone.

    x = argmin CE(y, softmax(T(x) / T)), y ~ Dirichlet(beta c_k), c = row-normalised cosine of the head's weights

    Use it when nothing of the training data is left and only the teacher with its last layer's weights exists, on small images.
    Impressions look like noise; on larger images and more classes it falls far behind any use of real samples.

    Args:
        size: impressions. betas: scales of the concentration, mixed equally. head: the teacher's classifier weight.
        temperature: T of both stages; 20 as published. rate: of Adam on the inputs.
        shift: largest random shift in pixels in stage 2. share: budget of stage 1, in parts of the run's.
    """
    like = (State("teacher", head), Tap("teacher", io="input"))
    bank = Part(partial(ImpressionBank, size=size, betas=betas), like=like)
    answer = Tap("teacher").via(partial(tempered, temperature=temperature))
    make = Term("impression", losses.soft_labels_cross_entropy, student=answer, probabilities=Field("targets"))
    impress = Update(("impressions",), (make,), source=Impressions(), optimizer=partial(torch.optim.Adam, lr=rate))
    learn = Update(("student",), (soft(temperature=temperature),), source=Impressions(shift=shift))
    return Method((Stage("impress", (impress,), share=share), Stage("distil", (learn,))), parts={"impressions": bank})
