"""Students in few bits."""

from functools import partial

import torch

from limbeck.connectors.quantise import Levels, Quantise, Uniform
from limbeck.methods._terms import soft, task
from limbeck.plan import Method, Stage, Update, method

PAPER = "Polino, Pascanu & Alistarh 2018, Model Compression via Distillation and Quantization, arXiv 1802.05668"


@method(paper=PAPER, year=2018)
def quantised_distillation(bits: int = 4, bucket: int = 256, temperature: float = 2.0, alpha: float = 0.7) -> Method:
    """The student answers with quantised weights all along; its gradient moves the full-precision ones.

    L(w) = (1 - alpha) CE(y, p) + alpha T^2 KL(p_teacher^T || p^T) at w_q = Q(w), and dL/dw = dL/dw_q

    After the authors' code (antspy/quantized_distillation), but weights of convolutions and linear layers only.

    Use it when the deployed weights have few bits on equally spaced levels and are to be trained with that error present. Four
    bits and more usually lose little; at two, expect to lose points.

    Args:
        bits: 2^bits evenly spaced values in every bucket of weights. bucket: 256, the code's.
        temperature, alpha: 2 and 0.7 as in the code's training loop.
    """
    terms = (task(weight=1 - alpha), soft(temperature=temperature, weight=alpha))
    quantise = Quantise("student", partial(Uniform, bits=bits, bucket=bucket))
    return Method((Stage("distil", (Update(("student",), terms),), before=(quantise,)),))


@method(paper=PAPER, year=2018)
def differentiable_quantisation(
    bits: int = 4,
    bucket: int = 256,
    temperature: float = 2.0,
    alpha: float = 0.7,
    share: float = 0.5,
    rate: float = 1e-5,
) -> Method:
    """Stage 1 distils in full precision; stage 2 keeps the weights and learns which values they may take.

    w_q = the level nearest to w in its bucket; L as in stage 1, dL/dp_j = sum of the gradients of the weights at level j

    After the authors' code, with two differences: biases and batch-norm stay in full precision and learn on in stage 2.

    Use it when a trained student has to be stored with few bits and its values may lie anywhere: the levels are learned while the
    weights stay. Where the hardware computes with equally spaced levels only, take `quantised_distillation`.

    Args:
        bits: 2^bits levels per layer, from the quantiles of its weights. bucket: weights that share one scale.
        temperature, alpha: 2 and 0.7 as in the code's training loop. share: part of the budget given to stage 1.
        rate: of stage 2, SGD with momentum 0.9; a level's gradient is a sum over all its weights. The code has 1e-4 to 1e-6.
    """
    terms = (task(weight=1 - alpha), soft(temperature=temperature, weight=alpha))
    learn = Update(("student",), terms)
    settle = Update(("student",), terms, optimizer=partial(torch.optim.SGD, lr=rate, momentum=0.9))
    levels = Quantise("student", partial(Levels, bits=bits, bucket=bucket))
    return Method((Stage("distil", (learn,), share=share), Stage("levels", (settle,), share=1 - share, before=(levels,))))
