"""The documentation site: every section has a page, every link of its sources leads somewhere, the gallery filters."""

import importlib
import posixpath
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from limbeck import methods  # noqa: E402
from limbeck.catalogue.formulas import is_formula, typeset  # noqa: E402
from website import gallery, layout, reference, sources  # noqa: E402


@pytest.fixture(scope="module")
def pages():
    return sources.pages()


def test_no_section_of_the_guide_is_forgotten():
    assert sources.forgotten() == []


def test_every_link_between_pages_leads_to_one(pages):
    pictures = {
        path.relative_to(ROOT / "docs").as_posix() for kind in ("png", "svg") for path in (ROOT / "docs").rglob(f"*.{kind}")
    }
    wrong = []
    for page, text in pages.items():
        own = sources.FENCE.sub("", text)
        links = re.findall(r"\]\(([^)\s]+)\)", own) + re.findall(r'(?:href|src)="([^"#]+)"', own)
        for link in links:
            file = link.partition("#")[0].replace(".html", ".md") if not link.endswith(".svg") else link
            there = posixpath.normpath(posixpath.join(posixpath.dirname(page), file)) if file else page
            if "://" not in link and there not in pages and there not in pictures:
                wrong.append((page, link))
    assert wrong == []


def test_the_navigation_names_pages_that_are_there(pages):
    nav = (ROOT / "website" / "mkdocs.yml").read_text(encoding="utf-8").partition("nav:")[2]
    named = re.findall(r": (\S+\.md)$", nav, re.M)
    assert len(named) > 30 and set(named) <= set(pages)
    assert set(layout.JOBS) | set(layout.COPIED) <= set(named)


def test_a_link_follows_its_section_to_its_new_page():
    known = sources.homes()
    text = sources.relinked(
        "see [why](#why-the-student-gained) and [kd](methods/kd.md), `[a](b)`", "docs/guide.md", "jobs/tables.md", known
    )
    assert text == "see [why](compare.md#why-the-student-gained) and [kd](../methods/kd.md), `[a](b)`"
    assert sources.relinked("[tests](../tests/toy.py)", "docs/guide.md", "start.md", known) == "tests", (
        "no link to what is not there"
    )
    assert sources.relinked("```\n[a](b.md)\n```", "docs/guide.md", "start.md", known) == "```\n[a](b.md)\n```"


def test_every_public_name_is_in_the_reference(pages):
    for part in layout.PARTS:
        module = importlib.import_module(f"limbeck.{part}")
        public = [name for name in reference.public(module) if not name.startswith("__")]
        names = [name for name in public if not isinstance(getattr(module, name), type(sys))]
        assert len(names) > 3 and all(f"## {name}\n" in pages[f"reference/{part}.md"] for name in names), part


def test_the_gallery_has_a_card_with_its_place_for_every_method():
    text = gallery.page()
    assert text.count("<article ") == len(methods.CATALOGUE)
    card = re.search(r'<article [^>]*data-words="kd hinton[^>]*>', text)[0]
    assert 'data-cost="2"' in card and 'data-year="up to 2016"' in card and 'data-place="soft labels, offline"' in card


def test_the_gallery_filters_in_a_browser(tmp_path, browser):  # noqa: F811
    script = (ROOT / "website" / "assets" / "gallery.js").read_text(encoding="utf-8")
    page = tmp_path / "gallery.html"
    page.write_text(f"<meta charset=utf-8>{gallery.page()}<script>{script}</script>", encoding="utf-8")
    browser.get(page.as_uri())
    shown = "return [...document.querySelectorAll('article:not([hidden]) h3')].map(h => h.innerText)"
    assert len(browser.execute_script(shown)) == len(methods.CATALOGUE)
    choose = """const by = document.querySelector(`select[data-by=${arguments[0]}]`); by.value = arguments[1];
        by.dispatchEvent(new Event('input', {bubbles: true}))"""
    browser.execute_script(choose, "task", "Detection")
    assert set(browser.execute_script(shown)) == {"detection", "detection_gan", "fine_grained", "mgd", "pkd"}
    browser.find_element("id", "gallery-find").send_keys("masked")
    assert browser.execute_script(shown) == ["mgd"]
    assert browser.find_element("id", "gallery-count").text.startswith("1 of ")


def test_formulas_are_set():
    assert typeset("L = CE(y, p) + beta T^2 KL(p_t^T || p)") == (
        "<i>L</i> = CE(<i>y</i>, <i>p</i>) + <i>β</i> <i>T</i><sup>2</sup> KL(<i>p</i><sub>t</sub><sup>T</sup> ‖ <i>p</i>)"
    )
    assert typeset("x < 1 & soft_labels") == "<i>x</i> &lt; 1 &amp; soft_labels", "names of arguments stay names"
    assert not is_formula("The weights are the paper's (lambda_1 = 10).") and is_formula("student: CE(y, p) + pixel")


sys.path.insert(0, str(ROOT / "tests" / "report"))
from test_browser import browser  # noqa: E402, F401  (the fixture)
