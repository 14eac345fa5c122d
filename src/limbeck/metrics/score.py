"""Survey A's figures of a distillation (Alkhulaifi, Alsahli & Ahmad 2021, PeerJ CS 7:e474).

Scores may be shares or percentages, sizes in any unit: only their ratios count.
"""

from math import isfinite

from limbeck.errors import UserError


def distillation_score(
    size_student: float, size_teacher: float, score_student: float, score_teacher: float, alpha: float = 0.5
) -> float:
    """Return alpha x size_S / size_T + (1 - alpha) x (1 - score_S / score_T); lower is better, 0 is ideal.

    It is negative where the student's gain outweighs its size.

    Args:
        size_student, size_teacher: parameters or bytes, the same for both.
        score_student, score_teacher: any score of which more is better.
        alpha: weight of size against the score, 0 to 1; above 0.5 favours small, below favours accurate.

    >>> round(distillation_score(0.1525, 1, 62.87, 71.76), 4)
    0.1382
    """
    if not 0 <= alpha <= 1:
        raise UserError(f"alpha must be between 0 (only the score counts) and 1 (only size), got {alpha}")
    size = _ratio("size", size_student, size_teacher)
    return alpha * size + (1 - alpha) * (1 - _ratio("score", score_student, score_teacher))


def relative_drop(score_student: float, score_teacher: float) -> float:
    """Return (score_T - score_S) / score_T in percent; negative where the student is better.

    >>> relative_drop(0.72, 0.8)
    10.0
    """
    return _percent(1 - _ratio("score", score_student, score_teacher))


def relative_gain(score_student: float, score_baseline: float) -> float:
    """Return (score_S - score_B) / score_B in percent, over the same student trained without a teacher."""
    return _percent(_ratio("score", score_student, score_baseline, "baseline") - 1)


def size_cut(size_student: float, size_teacher: float) -> float:
    """Return (1 - size_S / size_T) in percent.

    >>> size_cut(25, 100)
    75.0
    """
    return _percent(1 - _ratio("size", size_student, size_teacher))


def _percent(share: float) -> float:
    return round(100 * share, 10)


def _ratio(kind: str, student: float, other: float, name: str = "teacher") -> float:
    if not (isfinite(student) and student >= 0 and isfinite(other) and other > 0):
        raise UserError(
            f"the student's {kind} must be 0 or more and the {name}'s more than 0 to compare them, got {student} and {other}; "
            "measure both in the same unit"
        )
    return student / other
