"""A `Method` read back: as text and as a row of the general model's table.

Nothing here is typed in by hand: all of it is computed from the declaration and from what is stated there.
"""

from collections.abc import Iterator

from limbeck.catalogue.lessons import kind_of, lessons
from limbeck.catalogue.taxonomy import taxonomy
from limbeck.plan import Method, Term, Update
from limbeck.plan.actions import action_text
from limbeck.plan.schedules import weight_text
from limbeck.plan.taps import Field, Item, Source, Via, detach
from limbeck.transforms.facts import call_text
from limbeck.transforms.masks import known


def describe(method: Method) -> str:
    """The abstract view in words: stages, who trains, each term with its sources, loss and weight."""
    head = f"{method.name or 'method'}({', '.join(f'{k}={v!r}' for k, v in method.arguments.items())})"
    lines = [head, f"  {method.year}  {method.paper}"] if method.paper else [head]
    lines.append(f"  taxonomy: {taxonomy(method)}")
    lines.append(f"  roles: {', '.join(method.roles())}" + _parts_text(method))
    if method.views:
        lines.append("  views: " + ", ".join(f"{name} = {view}" for name, view in method.views.items()))
    for stage in method.stages:
        share = f"{stage.steps} steps" if stage.steps is not None else f"share {stage.share:g}"
        lines.append(f"  stage {stage.name} ({share})")
        lines += [f"    before: {action_text(action)}" for action in stage.before]
        for update in stage.updates:
            lines += [f"    {line}" for line in _update_lines(update)]
        lines += [f"    after each step: {action_text(action)}" for action in stage.after_step]
    lines.append(f"  deploys: {source_text(method.deployed)}")
    return "\n".join(lines)


def _parts_text(method: Method) -> str:
    if not method.parts:
        return ""
    return "; learned parts: " + ", ".join(f"{name} = {call_text(part.build)}" for name, part in method.parts.items())


def _update_lines(update: Update) -> Iterator[str]:
    extra = "" if update.source is None else f" on {update.source if not callable(update.source) else call_text(update.source)}"
    extra += f", {update.repeat} times" if update.repeat != 1 else ""
    extra += f", by {call_text(update.apply)}" if update.apply is not None else ""
    extra += f", with {call_text(update.optimizer)}" if update.optimizer is not None else ""
    yield f"trains {', '.join(update.trains)}{extra}"
    for term in update.terms:
        yield f"  {term_text(term)}"


def term_text(term: Term) -> str:
    inputs = ", ".join(f"{key}: {source_text(source)}" for key, source in term.inputs.items())
    mask = f"  where {source_text(term.mask)}" if term.mask is not None else ""
    return f"{term.name:<12} {weight_text(term.weight)} x {call_text(term.by)}  <-  {inputs}{mask}"


def source_text(source: Source) -> str:
    """A source as a path of steps: `student.layer2 -> regressor`, `[teacher]` when its gradient is stopped."""
    if not isinstance(source, Via):
        return str(source)
    inner = ", ".join(source_text(s) for s in source.sources)
    if source.fn is detach:
        return f"[{inner}]"
    if isinstance(source.fn, Item):
        return f"{inner}[{source.fn.index}]"
    return f"{inner if len(source.sources) == 1 else '(' + inner + ')'} -> {call_text(source.fn)}"


# ------------------------------------------------------------------------------------------------ table


def as_row(method: Method) -> dict[str, str]:
    """The method as one line of the general model: survey C's fields."""
    found = list(lessons(method))
    mentors = ((lesson, leaf) for lesson in found for leaf in lesson.mentors)
    knowledge = dict.fromkeys(f"{kind_of(m, lesson, method)} @ {getattr(m, 'path', '') or 'output'}" for lesson, m in mentors)
    transfer = dict.fromkeys(
        call_text(lesson.term.by).split("[")[0]
        + (" (masked)" if lesson.term.mask not in (None, Field("labels").via(known)) else "")
        for lesson in found
    )
    place = taxonomy(method)
    return {
        "method": method.name,
        "year": str(method.year or ""),
        "data": _data_text(method),
        "teachers : students": place.ratio.replace("-", " : ") + (", chain" if place.chain else ""),
        "knowledge @ location": "; ".join(knowledge),
        "transfer": "; ".join(transfer) + (f" through {', '.join(method.parts)}" if method.parts else ""),
        "output": place.deploys,
        "place": f"{place.knowledge}, {place.scheme}" + (", self" if place.own else ""),
    }


def _data_text(method: Method) -> str:
    parts = dict.fromkeys(p for _, update in method.updates() for p in update.partitions)
    made = dict.fromkeys(call_text(u.source) for _, u in method.updates() if callable(u.source))
    words = [*(p for p in parts if p != "train"), *(f"made by {name}" for name in made)]
    words += [f"view {name}" for name in method.views]
    return ", ".join(words) or "same"
