"""`--student pieces:...`: the words of a student that is cut out of its teacher, as settings."""

from collections.abc import Mapping

from limbeck.errors import UserError, unknown
from limbeck.files.programs import PIECES, is_address

WORD = "pieces"
CUTS: Mapping[str, type | tuple[type, ...]] = {"layers": int, "depth": (int, float), "width": (int, float)}
BUDGETS: Mapping[str, type | tuple[type, ...]] = {
    "parameters": int,
    "size": (int, str),
    "latency": str,
}  # that a cut is found for
KEYS = {**CUTS, "choose": str, **BUDGETS}


def is_pieces(model: str) -> bool:
    """Whether a model's name asks for pieces of the teacher.

    >>> is_pieces("pieces:layers=4"), is_pieces("pieces_of:net")
    (True, False)
    """
    return model == WORD or model.startswith(f"{WORD}:")


def arguments_of(model: str, given: Mapping[str, object]) -> dict[str, object]:
    """What `pieces:layers=4:choose=first` and the student's arguments say together.

    >>> arguments_of("pieces:depth=0.5", {})
    {'depth': 0.5}
    """
    from limbeck.runs.recipes import parse_value

    found = dict(given)
    for word in filter(None, model.split(":")[1:]):
        key, equals, value = word.partition("=")
        if not equals:
            raise UserError(
                f"--student {model}: write {WORD}:layers=4 or {WORD}:depth=0.5, with :choose=first or last if you like"
            )
        found[key.strip()] = parse_value(value.strip())
    for key, set_to in found.items():
        if key not in KEYS:
            raise unknown(f"setting of {WORD}", key, KEYS)
        if not isinstance(set_to, KEYS[key]) or isinstance(set_to, bool):
            raise UserError(
                f"--student {model}: {key} cannot be {set_to!r}; write {WORD}:layers=4 or {WORD}:depth=0.5:choose=first"
            )
    asked = [key for key in found if key in CUTS or key in BUDGETS]
    if not asked:
        raise UserError(
            f"--student {WORD} needs to know how much: write {WORD}:layers=4, {WORD}:depth=0.5, {WORD}:width=0.5, or what it is "
            f"to come to: {WORD}:parameters=50000, {WORD}:size=200kB or {WORD}:latency=2ms"
        )
    if len(asked) > 1 and any(key in BUDGETS for key in asked):
        raise UserError(f"--student {model}: give one of {', '.join(BUDGETS)} alone; how deep and wide follows from it")
    return found


def cut_out_of(
    teacher: str, arguments: Mapping[str, object], cut: Mapping[str, object], *, answers: bool
) -> tuple[str, dict[str, object]]:
    """The model and arguments of pieces of a teacher, by its name.

    answers: whether the teacher is a file of them. Raises `UserError` where it is no network.
    """
    if answers or teacher.endswith(".onnx") or is_address(teacher):
        raise UserError(f"the student is to be pieces of its teacher, which shows no layers ({teacher[-60:]}); name a student")
    return PIECES, {"model": teacher, "arguments": dict(arguments), **cut}


def words(arguments: Mapping[str, object]) -> str:
    """A cut student for readers.

    >>> words({"model": "resnet56", "arguments": {}, "layers": 1})
    'resnet56 cut to layers=1'
    """
    cut = [f"{key}={arguments[key]:g}" for key in CUTS if isinstance(arguments.get(key), int | float)]
    cut += [f"{key}={arguments[key]}" for key in KEYS if key in arguments and key not in CUTS]
    return f"{arguments.get('model')} cut to {' '.join(cut)}"
