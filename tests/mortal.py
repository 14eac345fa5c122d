"""A student whose process is killed in the middle of its training, once: the file `mark` remembers that it happened."""

import os
import signal
from pathlib import Path

from torch import nn


class Mortal(nn.Sequential):
    def __init__(self, classes, mark):
        super().__init__(nn.Flatten(), nn.Linear(64, classes))
        self.mark, self.steps = Path(mark), 0

    def forward(self, x):
        self.steps += self.training
        if self.steps == 8:
            try:
                self.mark.open("x").close()
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)


def student(classes, mark):
    return Mortal(classes, mark)
