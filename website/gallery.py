"""The catalogue as a gallery: a card for each method, with search and filters by need, task, cost, year and place."""

import inspect
from html import escape

from limbeck.catalogue import facts, figures
from limbeck.catalogue.costs import costs
from limbeck.catalogue.purposes import by_need
from limbeck.catalogue.taxonomy import taxonomy
from limbeck.methods import CATALOGUE
from limbeck.plan import Method

TASKS = ("Segmentation", "Detection", "Numbers (regression)", "Strings from sequences: speech, handwriting, translation",
         "Text and language models", "Retrieval and transfer: the embedding matters",
         "Trees and models trained without gradients")  # fmt: skip
INTRO = """---
hide: [navigation, toc]
---

# Methods

{count} methods, each a declaration of a few lines that is checked, drawn and priced. Search by any word, or filter.
"""


def page() -> str:
    """The gallery as Markdown with HTML in it."""
    made = [declare() for declare in CATALOGUE.values()]
    needs = by_need(made)
    of: dict[str, list[str]] = {method.name: [] for method in made}
    for need, names in needs.items():
        for name in names:
            of[name].append(str(need))
    tasks = [need for need in needs if str(need) in TASKS]
    places = sorted({f"{taxonomy(m).knowledge}, {taxonomy(m).scheme}" for m in made})
    filters = [
        ("need", "need", [str(need) for need in needs if need not in tasks]),
        ("task", "task", [str(task) for task in tasks]),
        ("cost", "models in a step", ["1", "2", "3 and more"]),
        ("year", "year", ["up to 2016", "2017 to 2019", "2020 to 2022", "2023 and later"]),
        ("place", "taxonomy", places),
    ]
    controls = "".join(_select(key, label, values) for key, label, values in filters)
    cards = "".join(_card(method, of[method.name]) for method in sorted(made, key=lambda m: m.name))
    search = '<label>search <input type="search" id="gallery-find" autocomplete="off"></label>'
    head = f'<form id="gallery-filters" role="search">{search}{controls}</form><p id="gallery-count" role="status"></p>'
    return f'{INTRO.format(count=len(made))}\n{head}\n<div class="gallery">{cards}</div>\n'


def _select(key: str, label: str, values: list[str]) -> str:
    options = "".join(f"<option>{escape(value)}</option>" for value in values)
    return f'<label>{label} <select data-by="{key}"><option value="">all</option>{options}</select></label>'


def _cost(models: float) -> str:
    return "1" if models < 1.5 else "2" if models < 2.5 else "3 and more"


def _year(year: int) -> str:
    return (
        "up to 2016" if year <= 2016 else "2017 to 2019" if year <= 2019 else "2020 to 2022" if year <= 2022 else "2023 and later"
    )


def _card(method: Method, needs: list[str]) -> str:
    place, price = taxonomy(method), costs(method)
    first = " ".join((inspect.getdoc(CATALOGUE[method.name]) or "").partition("\n\n")[0].split())
    use = facts.use_of(CATALOGUE[method.name])
    data = {
        "need": "|".join(needs),
        "task": "|".join(needs),
        "cost": _cost(price.models),
        "year": _year(method.year) if method.year else "",
        "place": f"{place.knowledge}, {place.scheme}",
        "words": f"{method.name} {method.paper} {first} {use} {' '.join(needs)}".lower(),
    }
    attributes = " ".join(f'data-{key}="{escape(value)}"' for key, value in data.items())
    gain = figures.gain(method.name)
    facts_line = " · ".join(str(v) for v in (method.year, price.brief, f"{gain} points" if gain else "") if v)
    return (
        f'<article {attributes}><h3><a href="{method.name}.html">{escape(method.name)}</a></h3>'
        f'<img src="{method.name}.svg" alt="" loading="lazy"><p>{escape(first)}</p>'
        f'<p class="quiet">{escape(facts_line)}</p></article>'
    )
