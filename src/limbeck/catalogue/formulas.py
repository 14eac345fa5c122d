"""Formulas of docstrings, which are plain text, set as formulas: subscripts, superscripts, signs, letters in italics."""

import re
from html import escape

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "lambda": "λ", "mu": "μ", "xi": "ξ", "pi": "π",
    "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "psi": "ψ", "omega": "ω",
}  # fmt: skip
SIGNS = (("||", "‖"), ("<=", "≤"), (">=", "≥"), ("<-", "←"), ("->", "→"), ("+-", "±"), (" x ", " × "))
WORDS = ("sum", "mean", "max", "min", "argmin", "argmax", "softmax", "log", "KL", "CE", "Huber", "cos", "std", "var")
BASE = rf"(?:[A-Za-zα-ωΣ]['~]?|[0-9]+|{'|'.join(WORDS)})"
INDEX = r"\([^()]*\)|\{[^{}]*\}|[A-Za-zα-ω0-9*]+(?:,[A-Za-z0-9]+)*'?"
SCRIPT = re.compile(
    rf"(?<![A-Za-z_])(?P<base>{BASE})(?P<scripts>(?:[_^](?:{INDEX}))+)|(?P<tail>[)\]‖|])(?P<after>(?:[_^](?:{INDEX}))+)"
)
ONE = re.compile(rf"([_^])({INDEX})")
LETTER = re.compile(r"(?<![A-Za-z<&/;#_'`])(?![aA] [a-z]{2,})([A-Za-zα-ω])(?![A-Za-z_;>=\"])")


def is_formula(paragraph: str) -> bool:
    """Whether a paragraph of a docstring is a formula and no prose.

    >>> is_formula("L = CE(y, p) + w T^2 KL(p_t || p)"), is_formula("The weights are the paper's (lambda = 10).")
    (True, False)
    """
    first = re.split(r" = |\b(?:CE|KL|log)\b", paragraph)[0]
    prose = re.match(r"(The|A|An|It|This|Args|Use|Where|For|After)\b", paragraph)
    return first != paragraph and len(first) < 45 and prose is None


def typeset(text: str) -> str:
    """A formula's lines as HTML.

    >>> typeset("L = w T^2 KL(p_t^T || p)")
    '<i>L</i> = <i>w</i> <i>T</i><sup>2</sup> KL(<i>p</i><sub>t</sub><sup>T</sup> ‖ <i>p</i>)'
    """
    return "<br>".join(_line(line.strip()) for line in text.strip().splitlines())


def _line(text: str) -> str:
    for plain, sign in SIGNS:
        text = text.replace(plain, sign)
    for name, letter in GREEK.items():
        text = re.sub(rf"(?<![A-Za-z]){name}(?![A-Za-z])", letter, text)
    text = re.sub(r"(?<![A-Za-z])sum(?=[ _])", "Σ", text)
    text = re.sub(r"(?<=\d)x(?=\d)", "×", text)
    parts, end = [], 0
    for found in SCRIPT.finditer(text):
        parts.append(_letters(escape(text[end : found.start()], quote=False)))
        base, scripts = (found["base"], found["scripts"]) if found["base"] else (found["tail"], found["after"])
        parts.append(_letters(base) + "".join(_script(kind, index) for kind, index in ONE.findall(scripts)))
        end = found.end()
    return "".join([*parts, _letters(escape(text[end:], quote=False))])


def _letters(text: str) -> str:
    return LETTER.sub(r"<i>\1</i>", text)


def _script(kind: str, index: str) -> str:
    tag = "sub" if kind == "_" else "sup"
    inner = index[1:-1] if index.startswith("{") or (index.startswith("(") and tag == "sup") else index
    return f"<{tag}>{escape(inner, quote=False)}</{tag}>"
