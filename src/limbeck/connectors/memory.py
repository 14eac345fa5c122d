"""What is remembered of samples from step to step, in buffers: kept in checkpoints, changed only while it trains, as the
running statistics of batch-norm are.

Shapes: n samples, d embedding dimensions, C classes, m remembered samples.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from limbeck.errors import UserError


def need_slots(index: Tensor, slots: int) -> None:
    """Refuse sample numbers that a memory has no room for."""
    if len(index) and int(index.max()) >= slots:
        raise UserError(
            f"the memory holds samples numbered 0 to {slots - 1}, but number {int(index.max())} came; "
            "set `samples` of the method to the number of samples in all partitions"
        )


class ClassMeans(nn.Module):
    """The mean embedding of every class over all samples seen so far: called with (embedding, labels), gives (C, d).

    Before a class was seen its mean is 0. With a frozen teacher it nears the mean over the data within an epoch.
    """

    total: Tensor
    count: Tensor

    def __init__(self, feature: Tensor, logits: Tensor):
        super().__init__()
        self.register_buffer("total", torch.zeros(logits.shape[-1], feature.shape[-1]))
        self.register_buffer("count", torch.zeros(logits.shape[-1]))

    def forward(self, feature: Tensor, labels: Tensor) -> Tensor:
        if self.training:
            known = labels >= 0
            with torch.no_grad():
                self.total.index_add_(0, labels[known], feature[known].detach().float())
                self.count.index_add_(0, labels[known], torch.ones_like(labels[known], dtype=self.count.dtype))
        return self.total / self.count.clamp(min=1).unsqueeze(1)


class AnswerMemory(nn.Module):
    """The moving average of a model's own probabilities, per sample (temporal ensembling: Laine & Aila 2017).

    Z <- a Z + (1 - a) p at each visit. Called with (logits, sample numbers); gives, from before this visit, the
    average corrected for its start, Z / (1 - a^visits), and whether the sample was visited. decay: a, the paper's 0.6.
    """

    average: Tensor
    visits: Tensor

    def __init__(self, logits: Tensor, index: Tensor, *, samples: int = 60_000, decay: float = 0.6):
        super().__init__()
        self.decay = decay
        self.register_buffer("average", torch.zeros(samples, logits.shape[-1]))
        self.register_buffer("visits", torch.zeros(samples))

    def forward(self, logits: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        need_slots(index, len(self.visits))
        visits, average = self.visits[index], self.average[index]
        target = average / (1 - self.decay**visits).clamp(min=1e-12).unsqueeze(1)
        if self.training:
            with torch.no_grad():
                self.average[index] = self.decay * average + (1 - self.decay) * logits.detach().float().softmax(-1)
                self.visits[index] = visits + 1
        return target, visits > 0


class ContrastMemory(nn.Module):
    """Embeddings of all samples by student and teacher (CRD: Tian et al. 2020, authors' code): projects both to length 1
    and scores each against its own sample's memory (first) and that of `negatives` others, drawn at random.

    Called with (student's feature, teacher's, sample numbers); gives exp(<student, teacher memory> / T) / Z and the
    same the other way round, (n, 1 + negatives) each; Z is the mean of the first batch times the number of samples.
    Then memory <- unit(momentum memory + (1 - momentum) embedding). Both projections learn.
    """

    of_student: Tensor
    of_teacher: Tensor
    scale: Tensor

    def __init__(
        self,
        student: Tensor,
        teacher: Tensor,
        *,
        samples: int = 60_000,
        size: int = 128,
        negatives: int = 16_384,
        temperature: float = 0.07,
        momentum: float = 0.5,
    ):
        super().__init__()
        self.negatives, self.temperature, self.momentum = negatives, temperature, momentum
        self.student, self.teacher = nn.Linear(student.shape[1], size), nn.Linear(teacher.shape[1], size)
        bound = (3 / size) ** 0.5
        self.register_buffer("of_student", torch.empty(samples, size).uniform_(-bound, bound))
        self.register_buffer("of_teacher", torch.empty(samples, size).uniform_(-bound, bound))
        self.register_buffer("scale", torch.zeros(2))  # 0: not measured yet

    def forward(self, student: Tensor, teacher: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        samples = len(self.of_student)
        need_slots(index, samples)
        mine, theirs = F.normalize(self.student(student), dim=1), F.normalize(self.teacher(teacher), dim=1)
        drawn = torch.randint(samples, (len(index), self.negatives), device=index.device)
        rows = torch.cat([index.unsqueeze(1), drawn], dim=1)
        found = [self._scores(mine, self.of_teacher[rows]), self._scores(theirs, self.of_student[rows])]
        scale = torch.where(self.scale > 0, self.scale, torch.stack([x.detach().mean() * samples for x in found]))
        if self.training:
            with torch.no_grad():
                self.scale.copy_(scale)
                for memory, now in ((self.of_student, mine), (self.of_teacher, theirs)):
                    memory[index] = F.normalize(self.momentum * memory[index] + (1 - self.momentum) * now, dim=1)
        return found[0] / scale[0], found[1] / scale[1]

    def _scores(self, anchor: Tensor, others: Tensor) -> Tensor:
        return (others @ anchor.unsqueeze(2)).squeeze(2).div(self.temperature).exp()


class Queue(nn.Module):
    """The last embeddings of a frozen model, scaled to length 1, first in, first out (SEED: Fang et al. 2021).

    Called with an embedding; gives it at length 1, and the queue as it was before, whose oldest entries it then replaces.
    Fresh slots hold random directions.
    """

    kept: Tensor
    place: Tensor

    def __init__(self, feature: Tensor, *, size: int = 65_536):
        super().__init__()
        self.register_buffer("kept", F.normalize(torch.randn(size, feature.shape[1]), dim=1))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        now, before = F.normalize(feature.detach(), dim=1), self.kept.clone()
        if self.training:
            with torch.no_grad():
                rows = (self.place + torch.arange(len(now), device=now.device)) % len(self.kept)
                self.kept[rows] = now
                self.place.copy_((self.place + len(now)) % len(self.kept))
        return now, before
