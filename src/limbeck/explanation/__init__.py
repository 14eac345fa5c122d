"""Why the student gained: what a finished run's models share, and which part of the teacher's labels was worth what."""

from limbeck.explanation.run import explain

__all__ = [
    "explain",
]
