"""A teacher behind an address: asked over HTTP, in chunks, again where it is busy, and counted.

A plain service takes {"inputs": [...]} (of texts {"texts": [...]}) and answers {"probabilities": [[...]]}, {"logits": [[...]]} or
{"labels": [...]}. One whose address ends in /chat/completions is asked as OpenAI's are, a text at a time; the probabilities of
the classes are those of the first token that it would write, where it tells them, else the class that it names.
Letters: n samples, C classes.
"""

import hashlib
import json
import math
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limbeck.errors import UserError, reason
from limbeck.models.black_box import BlackBox, Kind
from limbeck.transforms.outside import logits_of, named_alone

CHAT = "/chat/completions"
PROMPT = "Which of these classes fits the text best: {classes}? Answer with the class alone.\n\nText: {text}"
BUSY = (408, 425, 429, 500, 502, 503, 504)  # answers after which asking again may help
LONGEST_WAIT = 60.0  # seconds
MOST_KNOWN = 200_000  # answers that a process keeps of a service
CHECKED = 8  # known samples that each teacher built anew asks again


@dataclass(frozen=True)
class Asking:
    """How a service is asked: the settings of such a teacher.

    chat_model, prompt: of a chat; the prompt has {text}, and {classes} where it names them. key_from: environment variable that
    holds the key, which is kept nowhere. batch: samples per request of a plain service. at_once: requests at a time. per_second:
    requests at most, 0 for no limit. retries: of a request. timeout: seconds. outputs: of a service that answers with bare lists.
    """

    chat_model: str = ""
    prompt: str = PROMPT
    key_from: str = ""
    batch: int = 32
    at_once: int = 4
    per_second: float = 0.0
    retries: int = 5
    timeout: float = 60.0
    outputs: str = "auto"


@dataclass
class Cost:
    """What was asked of a service so far. unclear: replies of a chat that named no class. turn: when the last request was due."""

    samples: int = 0
    requests: int = 0
    again: int = 0
    tokens: int = 0
    unclear: int = 0
    turn: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, **more: int) -> None:
        with self.lock:
            for name, count in more.items():
                setattr(self, name, getattr(self, name) + count)


@dataclass
class Known:
    """What a service has answered to this process: rows (C,) by hash of the sample, and on which scale (see `BlackBox`)."""

    rows: dict[bytes, np.ndarray] = field(default_factory=dict)
    outputs: Kind = "auto"


class Served(BlackBox):
    """A frozen role that is asked over HTTP, about each sample once in a process but for a few checks.

    Args:
        address: http(s)://... names: the data's classes, in order. texts: of all samples by number, () where inputs are arrays.
        arguments: of `Asking`.
    """

    def __init__(
        self, address: str, names: Sequence[str], texts: Sequence[object] = (), arguments: Mapping[str, object] | None = None
    ):
        given = dict(arguments or {})
        odd = next((name for name in given if name not in Asking.__dataclass_fields__), None)
        if odd is not None:
            raise UserError(f"a served teacher has no setting {odd!r}; known: {', '.join(Asking.__dataclass_fields__)}")
        self.how, self.cost = Asking(**given), Cost()  # type: ignore[arg-type]
        self.chat = address.rstrip("/").endswith(CHAT)
        if self.chat and (not texts or "{text}" not in self.how.prompt):
            what = "its prompt has no {text}" if texts else "the data are no texts"
            raise UserError(f"{address[:80]} is a chat, and {what}; give texts, and a prompt with {{text}}")
        if not (self.how.batch >= 1 and self.how.at_once >= 1 and self.how.retries >= 0 and self.how.timeout > 0):
            raise UserError("a served teacher needs batch and at_once from 1, retries from 0 and a timeout above 0")
        outputs = "probabilities" if self.chat else self.how.outputs
        content = json.dumps([address, list(names), self.how.chat_model, self.how.prompt, self.how.outputs])
        super().__init__(self._ask, address[:80], len(names), outputs=outputs, content=content, chunk=10**9)  # type: ignore[arg-type]
        self.address, self.names, self.texts = address, tuple(names), tuple(texts)
        self.fed = "index" if texts else "inputs"
        self.known, self.unchecked = _KNOWN.setdefault(content, Known()), True
        self.said = f"the teacher is asked at {self.name}"

    def forward(self, inputs: Tensor) -> Tensor:
        if self.fed == "index" and inputs.dtype != torch.int64:
            raise UserError(f"{self.name} reads texts of the data by their number, not other inputs; give a network")
        return super().forward(inputs)

    def words(self) -> str:
        """What it cost, in a sentence."""
        cost = self.cost
        tokens = f", {cost.tokens:,} tokens" if cost.tokens else ""
        unclear = f"; {cost.unclear:,} replies named no class and count as not knowing" if cost.unclear else ""
        asked = f"{cost.samples:,} samples in {cost.requests:,} requests ({cost.again:,} of them again{tokens})"
        return f"{self.name} answered {asked}{unclear}"

    # ---------------------------------------------------------------- asking

    def _ask(self, rows: np.ndarray) -> np.ndarray:
        """Answers (n, C) to inputs (n, ...), or to samples by number (n,)."""
        given: list[Any] = [self.texts[int(k)] for k in rows] if self.fed == "index" else list(rows)
        keys = [hashlib.sha1(one.tobytes() if isinstance(one, np.ndarray) else repr(one).encode()).digest() for one in given]
        if self.unchecked and self.known.rows:
            self._check(dict(zip(keys, given, strict=True)))
        self.unchecked = False
        new = {key: one for key, one in zip(keys, given, strict=True) if key not in self.known.rows}
        if self.known.outputs != "auto":
            self.outputs = self.known.outputs
        found = dict(zip(new, self._requested(list(new.values())), strict=True)) if new else {}
        answers = np.stack([found[key] if key in found else self.known.rows[key] for key in keys])
        if len(self.known.rows) + len(found) <= MOST_KNOWN:
            self.known.rows.update(found)
            self.known.outputs = self.outputs
        return answers

    def _check(self, asked: Mapping[bytes, Any]) -> None:
        """Ask a few known samples again, and forget all where the service now answers otherwise."""
        keys = [key for key in asked if key in self.known.rows][:CHECKED]
        now = self._requested([asked[key] for key in keys]) if keys else None
        if now is None or not np.allclose(now, [self.known.rows[key] for key in keys], atol=1e-3):
            self.known.rows.clear()

    def _requested(self, given: Sequence[Any]) -> np.ndarray:
        size = 1 if self.chat else self.how.batch
        parts = [given[at : at + size] for at in range(0, len(given), size)]
        with ThreadPoolExecutor(self.how.at_once) as pool:
            found = list(pool.map(self._chatted if self.chat else self._plain, parts))
        self.cost.add(samples=len(given))
        return np.concatenate(found)

    def _plain(self, part: Sequence[Any]) -> np.ndarray:
        answer = self._post({"texts": list(part)} if self.fed == "index" else {"inputs": [row.tolist() for row in part]})
        what = (
            next((key for key in ("probabilities", "logits", "labels") if key in answer), "")
            if isinstance(answer, Mapping)
            else ""
        )
        values = answer[what] if what else answer
        if what == "labels" and isinstance(values, list):
            sure = named_alone([self._place(label) for label in values], len(self.names))
            return self._scaled(sure, "probabilities", len(part))
        try:
            table = np.asarray(values, np.float64)
        except (TypeError, ValueError):
            raise UserError(f"{self.name} answered {json.dumps(answer)[:80]}; expected probabilities, logits or labels") from None
        return self._scaled(table, what, len(part))

    def _scaled(self, values: np.ndarray, what: str, count: int) -> np.ndarray:
        """The values on the scale that all of its answers have: logits, once one answer was called so."""
        if values.shape != (count, len(self.names)):
            raise UserError(f"{self.name} answered {count} samples with {values.shape}; expected ({count}, {len(self.names)})")
        if what == "probabilities" and (values.min() < 0 or (np.abs(values.sum(1) - 1) > 1e-3).any()):
            row = int((np.abs(values.sum(1) - 1) + np.where(values.min(1) < 0, 10.0, 0.0)).argmax())
            raise UserError(
                f"{self.name} answered with probabilities that are negative or do not add up to 1: "
                f"{values[row].round(3).tolist()[:5]}; correct the service, or let it answer with logits"
            )
        if what:
            self.outputs = "logits"
            return logits_of(values) if what == "probabilities" else values
        return values

    def _place(self, label: object) -> int:
        if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(self.names):
            return label
        if str(label) in self.names:
            return self.names.index(str(label))
        known = ", ".join(self.names)[:80]
        raise UserError(f"{self.name} answered with the label {str(label)[:40]!r}, no class of the data ({known})")

    def _chatted(self, part: Sequence[object]) -> np.ndarray:
        prompt = self.how.prompt.replace("{classes}", ", ".join(self.names)).replace("{text}", str(part[0]))
        body: dict[str, object] = {"messages": [{"role": "user", "content": prompt}], "temperature": 0, "max_tokens": 16}
        body |= {"logprobs": True, "top_logprobs": 20} | ({"model": self.how.chat_model} if self.how.chat_model else {})
        answer = self._post(body)
        try:
            choice = answer["choices"][0]
            said, told = str(choice["message"]["content"] or ""), (choice.get("logprobs") or {}).get("content") or []
            used = int((answer.get("usage") or {}).get("total_tokens") or 0)
        except (TypeError, KeyError, IndexError, AttributeError, ValueError):
            raise UserError(f"{self.name} answered {json.dumps(answer)[:80]}, which is no reply of a chat") from None
        self.cost.add(tokens=used)
        shares = self._first_token(told[0].get("top_logprobs") or []) if told else None
        if shares is None:
            shares = self._named(said)
        return shares[None]

    def _first_token(self, tokens: Sequence[Mapping[str, Any]]) -> np.ndarray | None:
        """(C,) probabilities from those of the first token, where each begins the name of one class alone."""
        shares = np.zeros(len(self.names))
        for one in tokens:
            start = str(one.get("token", "")).strip().casefold()
            fits = [k for k, name in enumerate(self.names) if start and name.casefold().startswith(start)]
            if len(fits) == 1:
                shares[fits[0]] += math.exp(float(one.get("logprob", -math.inf)))
        return shares / shares.sum() if shares.sum() > 0 else None

    def _named(self, said: str) -> np.ndarray:
        """(C,) probabilities from the class that a reply names; all alike where it names none, or several."""
        plain = said.casefold()
        fits = [k for k, name in enumerate(self.names) if plain.strip(" .'\"\n") == name.casefold()]
        fits = fits or [k for k, name in enumerate(self.names) if name.casefold() in plain]
        if len(fits) == 1:
            return named_alone(fits, len(self.names))[0]
        self.cost.add(unclear=1)
        return np.full(len(self.names), 1 / len(self.names))

    def _post(self, body: Mapping[str, object]) -> Any:
        """One request, sent again while the service is busy or away."""
        headers = {"Content-Type": "application/json"}
        if self.how.key_from:
            key = os.environ.get(self.how.key_from)
            if not key:
                raise UserError(f"the environment variable {self.how.key_from} holds no key for {self.name}; set it")
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self.address, json.dumps(body).encode(), headers)
        for attempt in range(self.how.retries + 1):
            self._pause()
            self.cost.add(requests=1, again=int(attempt > 0))
            wait = min(LONGEST_WAIT, 0.5 * 2**attempt)
            try:
                with urllib.request.urlopen(request, timeout=self.how.timeout) as response:
                    return json.loads(response.read())
            except urllib.error.HTTPError as error:
                why = f"answers {error.code} ({reason(error)[:60]})"
                if error.code not in BUSY:
                    raise UserError(f"{self.name} {why}; check its address, key and settings") from None
                wait = _wait_asked(error.headers.get("Retry-After"), wait)
            except (OSError, ValueError) as error:  # it is away, slow, or sends no JSON
                why = f"cannot be asked ({reason(error)[:80]})"
            if attempt < self.how.retries:
                time.sleep(wait)
        raise UserError(f"{self.name} {why}, also after {self.how.retries} more tries; what it answered is in the store")

    def _pause(self) -> None:
        """Wait for this request's turn under the limit of requests per second."""
        if self.how.per_second <= 0:
            return
        with self.cost.lock:
            turn = self.cost.turn = max(time.monotonic(), self.cost.turn + 1 / self.how.per_second)
        time.sleep(max(0.0, turn - time.monotonic()))


_KNOWN: dict[str, Known] = {}  # by what decides the answers; the runs of a comparison build a teacher each


def _wait_asked(header: str | None, usual: float) -> float:
    """The seconds of a Retry-After header, else the usual ones."""
    try:
        return min(LONGEST_WAIT, max(0.0, float(header or usual)))
    except ValueError:
        return usual
