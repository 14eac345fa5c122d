"""Random numbers that are functions: of a seed, a sample number, a view number and a salt, and of nothing else.

There is no state, so a number is the same in whatever batch, order, thread or process it is asked for, and on every device.
The hash is splitmix64 (Steele, Lea, Flood 2014; https://prng.di.unimi.it/splitmix64.c) in wrapping 64-bit
integers; torch's int64 wraps as two's complement, and a logical shift is an arithmetic one with a mask.
Letters: n samples, k numbers for each.
"""

import functools
import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_ALL = (1 << 64) - 1


def signed(value: int) -> int:
    """Return the 64-bit pattern of `value` as a two's complement number, as int64 holds it."""
    value &= _ALL
    return value - (1 << 64) if value >> 63 else value


def mix_number(value: int) -> int:
    """Return one step of splitmix64 of a Python integer, 0 .. 2**64 - 1.

    >>> hex(mix_number(0))
    '0xe220a8397b1dcdaf'
    """
    value = (value + _GOLDEN) & _ALL
    value = ((value ^ (value >> 30)) * _FIRST) & _ALL
    value = ((value ^ (value >> 27)) * _SECOND) & _ALL
    return value ^ (value >> 31)


def _shifted(x: Tensor, bits: int) -> Tensor:
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def mix(x: Tensor) -> Tensor:
    """Return one step of splitmix64 of every element of an int64 tensor, as signed bit patterns."""
    x = x + signed(_GOLDEN)
    x = (x ^ _shifted(x, 30)) * signed(_FIRST)
    x = (x ^ _shifted(x, 27)) * signed(_SECOND)
    return x ^ _shifted(x, 31)


@functools.lru_cache(maxsize=4096)
def salt_number(salt: str) -> int:
    """Return 64 bits of the name of a use of randomness."""
    return int.from_bytes(hashlib.blake2b(salt.encode(), digest_size=8).digest(), "little")


def key(seed: int, *parts: int | str) -> int:
    """Return one 64-bit number for a seed and what it is used for.

    >>> key(0, "train", 1) == key(0, "train", 1) != key(0, "train", 2)
    True
    """
    value = mix_number(seed & _ALL)
    for part in parts:
        value = mix_number(value ^ (salt_number(part) if isinstance(part, str) else mix_number(part & _ALL)))
    return value


def order(seed: int, count: int, *parts: int | str) -> Tensor:
    """Return a permutation of 0 .. count - 1 (int64) that depends on the seed and its use only."""
    return torch.argsort(mix(torch.arange(count) ^ signed(key(seed, *parts))), stable=True)


@functools.cache
def _normals() -> Tensor:
    middles = (torch.arange(1 << 16, dtype=torch.float64, device="cpu") + 0.5) / (1 << 16)
    return (torch.erfinv(2 * middles - 1) * 2**0.5).to(torch.float32)


@functools.lru_cache(maxsize=32)
def _on(device: torch.device, values: Tensor) -> Tensor:
    """A table of quantiles where the numbers are wanted; there are few, made once each."""
    return values.to(device)


@functools.lru_cache(maxsize=256)
def _counters(salt: str, k: int, device: torch.device) -> Tensor:
    return mix(torch.arange(k, device="cpu") + signed(salt_number(salt))).to(device)


@dataclass(frozen=True, eq=False)
class Draw:
    """The random numbers of one view of n samples.

    Attributes:
        base: (n,) int64, the hash of seed, view number and sample number.
        seed, view: what it was made from, to make that of other samples.
        salt: says for what the numbers are; `within` extends it.
        centre, scale: (features,) mean and standard deviation of a table's columns, None for images.
    """

    base: Tensor
    seed: int
    view: int
    salt: str = ""
    centre: Tensor | None = None
    scale: Tensor | None = None

    @classmethod
    def of(cls, seed: int, index: Tensor, view: int, **more: Tensor | None) -> "Draw":
        """Return the numbers for the samples `index` (n,) int64 in view number `view`."""
        return cls(mix(index ^ signed(key(seed, "view", view))), seed, view, **more)  # type: ignore[arg-type]

    def within(self, salt: str) -> "Draw":
        """Return the numbers of the same samples for another use."""
        return Draw(self.base, self.seed, self.view, f"{self.salt}/{salt}", self.centre, self.scale)

    def take(self, rows: Tensor) -> "Draw":
        """Return the numbers of some of the samples; `rows` indexes them."""
        return Draw(self.base[rows], self.seed, self.view, self.salt, self.centre, self.scale)

    def bits(self, salt: str, k: int = 1) -> Tensor:
        """Return (n, k) int64 hashes, every bit pattern equally likely."""
        return mix(self.base[:, None] ^ _counters(f"{self.salt}/{salt}", k, self.base.device))

    def uniform(self, salt: str, k: int = 1) -> Tensor:
        """Return (n, k) float32 in [0, 1), multiples of 2**-24."""
        return _shifted(self.bits(salt, k), 40).to(torch.float32) * 2.0**-24

    def integers(self, salt: str, high: int, k: int = 1) -> Tensor:
        """Return (n, k) int64 in 0 .. high - 1; high is at most 2**31."""
        return (_shifted(self.bits(salt, k), 33) * high) >> 31

    def table(self, salt: str, values: Tensor, k: int = 1) -> Tensor:
        """Return (n, k) elements of `values`, whose length must be 65536: quantiles give any distribution."""
        return _on(self.base.device, values)[_shifted(self.bits(salt, k), 48)]

    def normal(self, salt: str, k: int = 1) -> Tensor:
        """Return (n, k) float32, standard normal by a table of 65536 quantiles (so within +-4.3).

        A table and no logarithms: elementary functions may differ in the last bit with the place in a batch.
        """
        return self.table(salt, _normals(), k)
