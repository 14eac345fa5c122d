"""How a run is fitted: budget, optimiser, schedule. The same `Fit` serves teacher, baseline and student."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import nn
from torch.optim import lr_scheduler

from limbeck.engine import optimizers
from limbeck.plan import Stage


@dataclass(frozen=True)
class Fit:
    """Budget and optimisation of one training.

    steps: optimiser steps over all stages together; steps_per_epoch: how many of them make an epoch
    of the curves. one_cycle rises to `lr` over the first 30 % and falls to almost 0 along a cosine
    (Smith & Topin 2018; momentum is left alone); multistep divides by 10 at 62.5, 75 and 87.5 %
    (150, 180, 210 of 240 epochs, the recipe of Tian et al. 2020). Each stage runs its own schedule.
    warmup: share of a stage's steps in which the rate rises from 0 in a line; None for one_cycle's own 30 %, and none elsewhere.
    best: keep the weights of the epoch that scores best on validation, the first of equals, instead of the last's.
    patience: end a stage after so many epochs without a better score on validation, and keep the best's weights.
    clip: gradient norm to clip to, or None. accumulate: micro-batches per step. compile: compile every running
    role with its taps by `torch.compile`, which takes minutes and pays in long runs. cuda_graphs: on a GPU, record steps
    that do the same work every time and replay them (networks of this package and of torch; others run as they are).
    """

    steps: int
    steps_per_epoch: int = 0
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["one_cycle", "cosine", "multistep", "constant"] = "one_cycle"
    warmup: float | None = None
    best: bool = False
    patience: int | None = None
    clip: float | None = None
    accumulate: int = 1
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    checkpoint_seconds: float = 60.0
    compile: bool = False
    cuda_graphs: bool = True

    def stage_steps(self, stages: tuple[Stage, ...]) -> list[int]:
        """Steps of each stage: its fixed number, or its share of the budget; at least 1 each.

        >>> Fit(10).stage_steps((Stage("hint", (), share=0.25), Stage("kd", (), share=0.75)))
        [2, 8]
        """
        lengths, done = [], 0.0
        for stage in stages:
            if stage.steps is not None:
                lengths.append(stage.steps)
            else:
                lengths.append(max(1, round(self.steps * (done + stage.share)) - round(self.steps * done)))
                done += stage.share
        return lengths

    def make_optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        params = list(parameters)
        fused = True if all(p.device.type == "cuda" for p in params) else None  # a fused one can leave out a bad step
        if self.optimizer == "sgd":
            sgd = optimizers.SGD(params, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay, fused=fused)
            for p in params if fused and self.momentum else ():  # the fused one takes all buffers or none; from 0 is the same
                sgd.state[p]["momentum_buffer"] = torch.zeros_like(p)
            return sgd
        kind = optimizers.Adam if self.optimizer == "adam" else optimizers.AdamW
        return kind(params, lr=self.lr, weight_decay=self.weight_decay, fused=fused)

    def make_schedule(self, optimizer: torch.optim.Optimizer, steps: int) -> lr_scheduler.LRScheduler:
        if self.schedule == "one_cycle" and steps > 3:
            rise = 0.3 if self.warmup is None else self.warmup
            rise = rise if rise * steps > 1 else 0.0  # a rise of one step is none, and torch would divide by its length less 1
            return lr_scheduler.OneCycleLR(optimizer, self.lr, total_steps=steps, pct_start=rise, cycle_momentum=False)
        if self.warmup and steps > 1:
            return lr_scheduler.LambdaLR(
                optimizer, partial(self._factor, steps, min(steps - 1, max(1, round(self.warmup * steps))))
            )
        if self.schedule == "cosine":
            return lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
        if self.schedule == "multistep":
            return lr_scheduler.MultiStepLR(optimizer, [int(steps * f) for f in (0.625, 0.75, 0.875)], gamma=0.1)
        return lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=1)

    def _factor(self, steps: int, rise: int, step: int) -> float:
        """What the rate is multiplied by in a step, from 0: (step + 1) / rise at first, then the schedule over the rest."""
        if step < rise:
            return (step + 1) / rise
        done = (step - rise) / (steps - rise)
        if self.schedule == "cosine":
            return (1 + math.cos(math.pi * done)) / 2
        return 0.1 ** sum(done >= part for part in (0.625, 0.75, 0.875)) if self.schedule == "multistep" else 1.0
