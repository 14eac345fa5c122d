"""Runs that take turns, step by step, in one process: each as it would be alone, what they share computed once."""

from collections.abc import Generator, Iterator, Sequence
from typing import TypeVar

import torch

T = TypeVar("T")
Random = tuple[torch.Tensor, list[torch.Tensor]]  # of the CPU, of every GPU


def last(steps: Generator[object, None, T]) -> T:
    """Run a generator to its end and return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def take_turns(runs: Sequence[Generator[object, None, T]]) -> Iterator[tuple[int, T]]:
    """Give every run a step in turn, with a random state of its own; yields (number, result) of each that ends."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        states: dict[int, Random] = {number: _random() for number in range(len(runs))}
        while states:
            for number in list(states):
                _set_random(states[number])
                try:
                    next(runs[number])
                    states[number] = _random()
                except StopIteration as end:
                    del states[number]
                    yield number, end.value


def _random() -> Random:
    return torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []


def _set_random(state: Random) -> None:
    torch.set_rng_state(state[0])
    if state[1]:
        torch.cuda.set_rng_state_all(state[1])
