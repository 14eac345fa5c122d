"""What language models wrote, on a run's page: the same prompts continued by each, side by side."""

from limbeck.cards.schema import Card
from limbeck.cards.words import percent
from limbeck.tasks.section import Cell, Section, Texts, Values


def written(card: Card) -> tuple[Section, ...]:
    """The section of the texts; () where none were written."""
    found = card.get("writing")
    if not found or not found["texts"]:
        return ()
    who = list(found["figures"])
    asked = any(each["rouge_l"] is not None for each in found["figures"].values())
    rows: list[tuple[Cell, ...]] = []
    for name, each in found["figures"].items():
        shares = [each["ended"], each["repeated"], *((each["rouge_l"], each["exact"]) if asked else ())]
        rows.append((name, *((percent(share, 1) if share is not None else "–", share) for share in shares)))
    head = ("model", "came to an end", "runs of four repeated", *(("ROUGE-L", "exact") if asked else ()))
    texts = Texts(
        ("prompt", "what follows", *who),
        tuple((row["prompt"], row["follows"], *(row["models"].get(name, "") for name in who)) for row in found["texts"]),
    )
    note = (
        f"{found['prompts']} prompts of the test part, continued greedily by at most {found['new']} tokens; the first are shown."
    )
    return (Section("texts", "What they write", (Values(head, tuple(rows)), texts), note),)
