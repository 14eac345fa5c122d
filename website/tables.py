"""Pages of tables that are computed: the 27 systems of a survey, and the figures of every task with their definitions."""

from limbeck.catalogue.survey.show import rows
from limbeck.tasks.registry import known

SURVEYS = """# The surveys' systems

The 27 systems of Alkhulaifi, Alsahli and Ahmad 2021 in their order: the published figures beside what was measured here,
against the supervised baseline, on small networks and a few thousand samples (`python -m bench.survey`). Rows that miss their
baseline stay. Drop is relative to the teacher's score, gain to the baseline's, in percent; a score is the distillation score at
alpha 0.5, lower is better. `limbeck survey --alpha 0.8` shows the table for another alpha, with the data, the architectures and
the causes of misses."""
FIGURES = """# How figures are made

Every figure of card, terminal and pages is one `Figure` of the data's task, defined beside its computation. The first of a task
is its score. The test part is read once, after the last epoch of the last training. [Compare fairly](../jobs/compare.md) has
the survey's figures, which relate student, teacher and baseline.

- Intervals beside a score are 95 % over the test samples (Wilson's for accuracy, a bootstrap over samples elsewhere); intervals
  of a comparison are over seeds (Student's t), and p-values are of paired tests over the seeds, corrected after Holm. Two seeds
  settle nothing.
- "Can be told apart" from the baseline on the test samples: McNemar's exact test, p below 0.05. It says nothing of other seeds.
- Latency is the median of one answer, batch 1, one thread unless it is said, on the machine of the run; quartiles beside it.
- Size is the bytes of parameters and buffers that are used in inference; files have their own sizes."""


def pages() -> dict[str, str]:
    return {"evidence/surveys.md": SURVEYS + _systems(), "evidence/figures.md": FIGURES + _figures()}


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def _table(head: tuple[str, ...], body: list[list[str]]) -> str:
    lines = [list(head), ["---"] * len(head), *body]
    return "\n" + "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _systems() -> str:
    body = []
    for row in rows(0.5):
        paper, here = row["paper"], row["measured"]
        method = row["method"]
        link = f"[{method}](../methods/{method}.md)" if method else ""
        ours = [_cell(here["drop"]), _cell(here["gain"]), _cell(here["cut"])] if here else ["", "", ""]
        said = here["verdict"] if here else "not measured"
        body.append([str(row["row"]), row["reference"], link, *(_cell(paper[k]) for k in ("drop", "gain", "cut")), *ours, said])
    head = ("row", "system", "method", "drop", "gain", "cut", "drop here", "gain here", "cut here", "against the baseline")
    return _table(head, body)


def _figures() -> str:
    parts = []
    for name, kind in sorted(known().items()):
        body = [[f.title, f.words, f"{f.better} is better"] for f in kind.figures]
        first = (kind.__doc__ or "").strip().partition("\n")[0]
        parts.append(f"\n## {name}\n\n{first}\n{_table(('figure', 'definition', 'direction'), body)}")
    return "".join(parts)
