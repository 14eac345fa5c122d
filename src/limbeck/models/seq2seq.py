"""A small translator: a recurrent encoder, a recurrent decoder that attends to it, and a search for what to write.

Letters: n sentences, l places of the source, t places of the target, k beams, d features, C words of the target.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from limbeck.errors import UserError

PAD, BEGIN, END, UNKNOWN = 0, 1, 2, 3
"""Class numbers that are no words: behind the end, before the first word, the end, and a word that is not listed."""


class BeamSearch(nn.Module):
    """Writes the `beams` likeliest targets that beam search finds; its answer is an n-best list (n, k, 1 + t).

    Column 0 is log P of the whole target; then class numbers, END and PAD behind the last word. Best first. The list is a
    tensor of floats, so that it can be tapped and stored like any answer.
    """

    def __init__(self, beams: int, longest: int):
        super().__init__()
        self.beams, self.longest = beams, longest

    def forward(self, decoder: "Decoder", memory: Tensor, there: Tensor, state: Tensor) -> Tensor:
        n, k = len(memory), self.beams
        words = torch.full((n, 1, 1), BEGIN, device=memory.device)
        scores, states = memory.new_zeros(n, 1), state[:, None]
        ended = torch.zeros(n, 1, dtype=torch.bool, device=memory.device)
        for _ in range(self.longest):
            logits, after = decoder.step(words[..., -1], states, memory, there)
            logs = logits.log_softmax(-1)
            stay = torch.full_like(logs[:, :1, :], -torch.inf)
            stay[..., PAD] = 0.0
            never = torch.tensor([PAD, BEGIN], device=logs.device)
            logs = torch.where(ended[..., None], stay, logs.index_fill(-1, never, -torch.inf))
            total = (scores[..., None] + logs).flatten(1)
            scores, chosen = total.topk(min(k, total.shape[1]), dim=1)
            beam, word = chosen // logits.shape[-1], chosen % logits.shape[-1]
            words = torch.cat([words.gather(1, beam[..., None].expand(-1, -1, words.shape[-1])), word[..., None]], 2)
            states = after.gather(1, beam[..., None].expand(-1, -1, after.shape[-1]))
            ended = ended.gather(1, beam) | (word == END)
        return torch.cat([scores[..., None], words[..., 1:].to(scores.dtype)], 2)


class Decoder(nn.Module):
    """A recurrent layer over the target's words; its features attend to the encoder's (Luong et al. 2015, "general")."""

    def __init__(self, classes: int, width: int):
        super().__init__()
        self.embed = nn.Embedding(classes, width)
        self.cell = nn.GRU(width, width, batch_first=True)
        self.match = nn.Linear(width, width, bias=False)
        self.join = nn.Linear(2 * width, width)
        self.linear = nn.Linear(width, classes)

    def forward(self, words: Tensor, state: Tensor, memory: Tensor, there: Tensor) -> Tensor:
        """(n, t, C) logits of the word after each of `words` (n, t)."""
        features, _ = self.cell(self.embed(words), state[None].contiguous())
        return self.attend(features, memory, there)

    def attend(self, features: Tensor, memory: Tensor, there: Tensor) -> Tensor:
        match = self.match(features) @ memory.transpose(1, 2)
        weights = match.masked_fill(~there[:, None], -torch.inf).softmax(-1)
        return self.linear(torch.tanh(self.join(torch.cat([weights @ memory, features], 2))))

    def step(self, words: Tensor, states: Tensor, memory: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """One word further in each of k beams: words (n, k), states (n, k, d) to logits (n, k, C) and states."""
        n, k = words.shape
        inputs, before = self.embed(words).view(n * k, 1, -1), states.reshape(1, n * k, -1)
        features, after = self.cell(inputs, before.contiguous())
        return self.attend(features.view(n, k, -1), memory, there), after.view(n, k, -1)


class Seq2Seq(nn.Module):
    """From a string of class numbers to another: a bidirectional GRU reads, a GRU with attention writes.

    net(source) searches and returns logits (n, t, C) in which the likeliest class of each step is what was written; the
    n-best list itself can be tapped at `search`. net(source, target) returns the logits of given targets (n, t), or of
    several for each source (n, k, t), every word knowing those before it (teacher forcing). Sources (n, l) end with PAD,
    targets with PAD or -100 behind END.

    Args:
        words: class numbers that sources may have; 0 for as many as targets. width: of every layer.
        beams: of the search; 1 is greedy. longest: words written at most.
    """

    def __init__(
        self, classes: int, shape: tuple[int, ...], *, words: int = 0, width: int = 64, beams: int = 1, longest: int = 20
    ):
        super().__init__()
        if len(shape) != 1:
            raise UserError(f"seq2seq needs strings of class numbers (places,), got {tuple(shape)}; use another model")
        if min(width, beams, longest) < 1 or words < 0 or width % 2 or classes <= max(UNKNOWN, beams + 1):
            given = f"width {width}, beams {beams}, longest {longest}, words {words} and {classes} classes"
            raise UserError(f"seq2seq: needs an even width, beams and longest from 1, and more classes than beams; got {given}")
        self.embed = nn.Embedding(words or classes, width, padding_idx=PAD)
        self.encoder = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(width, width)
        self.decoder = Decoder(classes, width)
        self.search = BeamSearch(beams, longest)

    def forward(self, source: Tensor, target: Tensor | None = None) -> Tensor:
        source = source.long()
        there = source != PAD
        memory, _ = self.encoder(self.embed(source))
        known = there[..., None].to(memory.dtype)
        state = torch.tanh(self.bridge((memory * known).sum(1) / known.sum(1).clamp_min(1)))
        if target is not None:
            return self._forced(target.long(), state, memory, there)
        best = self.search(self.decoder, memory, there, state)[:, 0, 1:].long()
        logits = self._forced(best, state, memory, there)
        chosen = F.one_hot(best, logits.shape[-1]).bool()
        return torch.where(chosen, logits.amax(-1, keepdim=True) + 1e-3, logits)  # what the search chose is the likeliest

    def _forced(self, target: Tensor, state: Tensor, memory: Tensor, there: Tensor) -> Tensor:
        words = target.masked_fill(target == -100, PAD)
        before = F.pad(words[..., :-1], (1, 0), value=BEGIN)
        if target.dim() == 2:
            return self.decoder(before, state, memory, there)
        k = target.shape[1]
        state, memory, there = (x.repeat_interleave(k, 0) for x in (state, memory, there))
        return self.decoder(before.flatten(0, 1), state, memory, there).unflatten(0, (-1, k))


__all__ = ["BEGIN", "END", "PAD", "UNKNOWN", "Decoder", "BeamSearch", "Seq2Seq"]
