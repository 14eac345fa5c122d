"""Networks of somebody else, named on the command line as `nets:NAME`."""

from torch import nn


def five():
    """Answers with five classes, whatever the data has."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 5))


def narrow(classes):
    """Cannot eat digits."""
    return nn.Sequential(nn.Flatten(), nn.Linear(63, classes))


def ten(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))
