"""What a student writes while it learns: prompts, ends, labels, the same bits from the same seed, and what it learns from it."""

import torch

from limbeck.connectors import Replay, Rollouts
from limbeck.connectors.rollouts import _prompt, _rows
from limbeck.data.tokens import TokenInputs
from limbeck.methods import contrastive_pairs, on_policy
from limbeck.metrics.strings import repeated
from limbeck.plan.roles import Adapter, Cast
from limbeck.tasks.next_token import FirstWords
from tests.folder_of_lm import config, sentences, trained, transformers
from tests.toy import fit_of, go


def test_prompts_are_what_stands_before_the_first_label_or_the_last_document_of_an_opening():
    numbers, labels = torch.tensor([4, 5, 6, 7, 0, 0]), torch.tensor([-100, 5, 6, -100, -100, -100])
    assert _prompt(numbers, labels, 10, 3).tolist() == [3, 4]
    numbers = torch.tensor(
        [1 + 3, 1 + 4, 11 + 5, 11 + 6, 11 + 7, 11 + 8]
    )  # two documents of which the second is on the other side
    assert _prompt(numbers, torch.tensor([1, 2, 3, 4, 5, 6]), 10, 4).tolist() == [5, 6]
    assert _prompt(numbers, torch.tensor([1, 2, 3, 4, 5, 6]), 10, 2).tolist() == [3, 4]


def test_rows_end_with_the_text_and_only_what_was_written_is_learned():
    numbers, labels = _rows([torch.tensor([3, 4]), torch.tensor([5])], torch.tensor([[6, 9, 7, 7], [8, 8, 8, 9]]), 5, 9)
    assert numbers.tolist() == [[4, 5, 7, 0, 0], [6, 9, 9, 9, 0]]  # the end itself is predicted, and nothing behind it
    assert labels.tolist() == [[-100, 6, 9, -100, -100], [8, 8, 8, 9, -100]]


def test_what_was_written_comes_back_from_the_memory():
    memory = Replay(torch.zeros(2, 3), slots=4)
    for k in range(3):
        memory.keep(torch.full((2, 3), k), torch.full((2, 3), 10 + k))
    numbers, labels = memory.draw(50, torch.Generator().manual_seed(0))
    assert set(numbers.flatten().tolist()) == {1, 2} and bool((labels == numbers + 10).all())


def cast_of(folder):
    tokens, teacher = trained(folder, sentences(200), steps=60)
    torch.manual_seed(1)
    student = transformers.LlamaForCausalLM(config(tokens, layers=1, width=16))
    ids = torch.tensor([i for text in sentences(200, seed=5) for i in [*tokens(text)["input_ids"], 0]])
    optimizer = torch.optim.AdamW(student.parameters(), 1e-2)
    for step in range(40):  # it must write something before it can learn from that
        rows = ids[: len(ids) // 32 * 32].view(-1, 32)[step % 12 * 4 :][:8]
        student(input_ids=rows, labels=rows).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    prepare = TokenInputs(len(tokens), 0, ("input_ids", "use_cache"))
    cast = Cast({"student": student, "teacher": teacher.eval()})
    for role in cast:
        cast.adapters[role] = Adapter(prepare=prepare, logits=FirstWords(len(tokens)))
    return cast, ids


def divergence(cast, numbers, labels):
    """Mean KL(student || teacher) on the student's own text, by hand."""
    with torch.no_grad():
        log_q, log_p = (
            cast.adapter_of(role).find_logits(cast.feed(role, numbers), role)[labels != -100].log_softmax(-1)
            for role in ("student", "teacher")
        )
    return float((log_q.exp() * (log_q - log_p)).sum(-1).mean())


def test_forty_steps_bring_the_student_nearer_to_its_teacher_on_its_own_text(tmp_path):
    cast, ids = cast_of(tmp_path)
    rows = ids[: len(ids) // 24 * 24].view(-1, 24)

    def draw(partitions, position):
        own = rows[(torch.arange(8) + 8 * position) % len(rows)]
        return {"inputs": own + 1, "labels": torch.nn.functional.pad(own[:, 1:], (0, 1), value=-100), "index": torch.arange(8)}

    source = Rollouts()
    before = source(cast, lambda parts: draw(parts, 3), torch.Generator().manual_seed(7))
    again = source(cast, lambda parts: draw(parts, 3), torch.Generator().manual_seed(7))
    assert torch.equal(before["inputs"], again["inputs"]), "the same seed writes the same text"
    first = divergence(cast, before["inputs"], before["labels"])
    go(on_policy(), cast, draw=draw, fit=fit_of(40, optimizer="adamw", lr=3e-3, momentum=0.9, weight_decay=0.0, clip=1.0))
    after = source(cast, lambda parts: draw(parts, 3), torch.Generator().manual_seed(7))
    last = divergence(cast, after["inputs"], after["labels"])
    assert last < first * 2 / 3, (first, last)
    loops = [sum(repeated(row[row != 0].tolist()) for row in batch["inputs"]) / 8 for batch in (before, after)]
    assert loops[1] <= loops[0] + 0.05, loops


def test_pairs_raise_on_the_text_that_is_given_and_lower_on_what_was_written(monkeypatch):
    """The first value of each term by hand, at weights that stay as they are."""
    from limbeck.connectors import rollouts

    tokens = 20
    torch.manual_seed(0)
    made = [transformers.LlamaForCausalLM(config(range(tokens), layers=1, width=16)).eval() for _ in range(2)]
    cast = Cast(dict(zip(("student", "teacher"), made, strict=True)))
    for role in cast:
        cast.adapters[role] = Adapter(prepare=TokenInputs(tokens, 0, ("input_ids", "use_cache")), logits=FirstWords(tokens))
    given = torch.randint(1, tokens, (4, 9), generator=torch.Generator().manual_seed(1))
    batch = {"inputs": given[:, :-1] + 1, "labels": given[:, 1:], "index": torch.arange(4)}
    written = []
    own = rollouts.Rollouts._write
    monkeypatch.setattr(rollouts.Rollouts, "_write", lambda *a: written.append(own(*a)) or written[-1])
    told = go(contrastive_pairs(skew=0.1), cast, draw=lambda parts, k: batch, fit=fit_of(1, lr=1e-12))
    found = told.history[0]["terms"]

    def by_hand(numbers, labels, raised):
        with torch.no_grad():
            q, p = (
                cast.adapter_of(role).find_logits(cast.feed(role, numbers), role)[labels != -100].softmax(-1)
                for role in ("student", "teacher")
            )
        first, second = (p, q) if raised else (q, p)
        return float((first * (first / (0.1 * first + 0.9 * second)).log()).sum(-1).mean())

    assert abs(found["raised"] - by_hand(batch["inputs"], batch["labels"], True)) < 1e-5
    assert abs(found["lowered"] - by_hand(*written[-1], False)) < 1e-5
    assert not torch.equal(written[-1][0][:, : batch["inputs"].shape[1]], batch["inputs"])
