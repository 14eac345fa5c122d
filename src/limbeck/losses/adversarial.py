"""Losses on a discriminator's answer; the shape of the values is that of the logits."""
# ruff: noqa: F722, F821

import torch  # noqa: F401  doctests
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from limbeck.losses.traits import loss
from limbeck.transforms.numerics import upcast

GAN = "Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661"
CRITIC = "Gulrajani et al. 2017 (WGAN-GP), https://arxiv.org/abs/1704.00028"
SQUARES = "Mao et al. 2017 (LSGAN), https://arxiv.org/abs/1611.04076"


@loss(family="judge", knowledge=None, over="values", minimum=None, source=GAN)
def real(logit: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Binary cross-entropy to "real": −log σ(x) = log(1 + e^−x). Tends to 0 as x grows; never reaches it.

    logit: the discriminator's answer x, any shape. The learner who wants to be taken for real uses it too.

    >>> real(torch.tensor([0.0]))
    tensor([0.6931])
    """
    return softplus(-upcast(logit))


@loss(family="judge", knowledge=None, over="values", minimum=None, source=GAN)
def fake(logit: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Binary cross-entropy to "fake": −log(1 − σ(x)) = log(1 + e^x).

    logit: the discriminator's answer x, any shape.

    >>> fake(torch.tensor([0.0]))
    tensor([0.6931])
    """
    return softplus(upcast(logit))


@loss(family="judge", knowledge=None, over="values", minimum=None, source=SQUARES)
def real_squares(score: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Least squares to "real": (1 − x)², zero at x = 1.

    score: the discriminator's answer, any shape; AFD puts a sigmoid before it, LSGAN nothing.

    >>> real_squares(torch.tensor([0.5]))
    tensor([0.2500])
    """
    return (1 - upcast(score)).square()


@loss(family="judge", knowledge=None, over="values", minimum=None, source=SQUARES)
def fake_squares(score: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Least squares to "fake": x², zero at x = 0.

    score: the discriminator's answer, any shape.

    >>> fake_squares(torch.tensor([0.5]))
    tensor([0.2500])
    """
    return upcast(score).square()


@loss(family="judge", knowledge=None, over="values", minimum=None, source=CRITIC)
def critic_real(score: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Wasserstein critic, to raise its score: −x. The learner who wants to be taken for real uses it too.

    score: the critic's answer x, any shape; no bound.

    >>> critic_real(torch.tensor([0.5]))
    tensor([-0.5000])
    """
    return -upcast(score)


@loss(family="judge", knowledge=None, over="values", minimum=None, source=CRITIC)
def critic_fake(score: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Wasserstein critic, to lower its score: x.

    score: the critic's answer x, any shape.

    >>> critic_fake(torch.tensor([0.5]))
    tensor([0.5000])
    """
    return upcast(score)


@loss(family="penalty", knowledge=None, over="values", minimum=None, source=CRITIC)
def slope_penalty(slope: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Gradient penalty: (‖∇D‖ − 1)², zero where the critic's slope is 1.

    slope: length of the critic's gradient at points between real and fake, not negative.

    >>> slope_penalty(torch.tensor([3.0]))
    tensor([4.])
    """
    return (upcast(slope) - 1).square()
