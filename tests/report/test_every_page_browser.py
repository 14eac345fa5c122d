"""Pages of every kind in one real browser, at three widths, light and dark: nothing overflows, overlaps, is unreadable or fails."""

import json
import threading
from itertools import product
from pathlib import Path

import pytest
from synthetic_board import make_board
from synthetic_run import make_run
from synthetic_search import make_search
from synthetic_tasks import KINDS, make_task_run
from test_browser import CONTRAST, browser, printed  # noqa: F401  (the fixture)

from limbeck.comparison.pages import write_page
from limbeck.report import write_report
from limbeck.web.watch import server

CLASSES = {"two": ("no", "yes"), "ten": tuple("0123456789"), "many": tuple(f"specimen of kind {k}" for k in range(136))}
METHODS = ("baseline", "kd", "kd:temperature=2", "dkd", "attention", "fitnets", "fsp", "review", "crd", "rkd", "wkd_logit")
WIDTHS, THEMES = (390, 1280, 1920), ("light", "dark")
TROUBLE = """
const found = [], page = document.documentElement;
if (page.scrollWidth > innerWidth) found.push(["the page is wider than the screen", page.scrollWidth]);
for (const part of document.querySelectorAll(".scroll:not(.drawing)"))
  if (part.querySelector("table.sortable") && part.scrollWidth > part.clientWidth + 1)
    found.push(["a table is wider than its column", part.ariaLabel, part.scrollWidth, part.clientWidth]);
for (const section of document.querySelectorAll("main section"))
  if (!section.querySelector("p, figure, table, details, ul, ol, pre, .drawing")) found.push(["an empty section", section.id]);
for (const table of document.querySelectorAll("main table"))
  if (!table.caption || !table.caption.textContent.trim()) found.push(["a table without a caption"]);
for (const svg of document.querySelectorAll("svg.chart")) {
  if (!svg.getAttribute("aria-label")) found.push(["a picture without words"]);
  const whole = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect(), t.hasAttribute("transform")]);
  for (const [i, [words, a, turned]] of texts.entries()) {
    if (a.left < whole.left - 1 || a.right > whole.right + 1 || a.top < whole.top - 1 || a.bottom > whole.bottom + 1)
      found.push(["words outside of a picture", words]);
    for (const [others, b, slanted] of texts.slice(i + 1))
      if (!turned && !slanted && a.left < b.right - 1 && b.left < a.right - 1 && a.top + 3 < b.bottom && b.top + 3 < a.bottom)
        found.push(["words over words", words, others]);
  }
}
return found;
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """A saved page of each kind."""
    place = tmp_path_factory.mktemp("pages")
    found = {name: write_report(make_run(place / name, names, n=max(200, 9 * len(names)))) for name, names in CLASSES.items()}
    found |= {kind: write_report(make_task_run(place / kind, kind)) for kind in KINDS}
    started = make_run(place / "started", n=200)
    facts = json.loads((started / "card.json").read_text())
    facts["models"]["baseline-started"] = facts["models"]["baseline"]
    (started / "card.json").write_text(json.dumps(facts | {"lesson_percent": 3.2}))
    found["started"] = write_report(started)
    found["search"] = make_search(place / "search")
    return found | {"comparison": write_page(make_board(place / "comparison", names=METHODS))}


def troubles(driver, address: str) -> list:
    """What is wrong with a page in any width and theme, its console included."""
    found = []
    for width, theme in product(WIDTHS, THEMES):
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 700}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]})
        if width == WIDTHS[0] and theme == THEMES[0]:
            driver.get_log("browser")
            driver.get(address)
            driver.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
        found += [(width, theme, *each) for each in driver.execute_script(TROUBLE)]
        found += [(width, theme, "contrast", *each) for each in driver.execute_script(CONTRAST)]
    return found + [("console", each["message"]) for each in driver.get_log("browser")]


@pytest.mark.parametrize("name", [*CLASSES, *KINDS, "comparison", "search", "started"])
def test_a_page_is_right_in_every_width_and_theme(browser, pages, name):  # noqa: F811
    assert troubles(browser, pages[name].as_uri()) == []
    assert pages[name].stat().st_size < 400_000


def test_a_phone_shows_a_card_for_each_model(browser, pages):  # noqa: F811
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    )
    browser.get(pages["ten"].as_uri())
    tall = browser.execute_script("return [...document.querySelectorAll('#result table')][0].rows[1].getBoundingClientRect()")
    assert tall["width"] < 390 and tall["height"] > 150
    label = "return getComputedStyle(document.querySelector('#result td'), '::before').content"
    assert "accuracy" in browser.execute_script(label)


def test_marks_are_the_same_in_charts_and_keys(browser, pages):  # noqa: F811
    """A role's colour in the picture is that of its key; ten methods have ten pairs of colour and mark."""
    browser.get(pages["ten"].as_uri())
    same = """return ["teacher", "baseline", "student"].map(who => [getComputedStyle(document.querySelector(`.mark.${who}`)).fill,
        getComputedStyle(document.querySelector(`.key.${who}`)).backgroundColor])"""
    assert all(mark == key for mark, key in browser.execute_script(same))
    browser.get(pages["comparison"].as_uri())
    keys = """return [...document.querySelectorAll("#result tbody .key")].slice(0, 12).map(key => {
        const css = getComputedStyle(key); return [css.backgroundColor, css.clipPath, css.borderRadius].join(); })"""
    assert len(set(browser.execute_script(keys))) == 12, "ten methods, baseline, teacher"


def test_a_print_is_short(browser, pages):  # noqa: F811
    import base64

    for name, most in (("ten", 2), ("comparison", 3)):
        browser.get(pages[name].as_uri())
        pdf = base64.b64decode(printed(browser, paperWidth=8.27, paperHeight=11.69))
        assert pdf.count(b"/Type /Page\n") <= most, name


@pytest.fixture
def listed(tmp_path):
    """A served folder of runs."""
    for name, classes in (("first", CLASSES["ten"]), ("second", CLASSES["ten"]), ("other", CLASSES["two"])):
        make_run(tmp_path / "runs" / name, classes, n=60)
    card = tmp_path / "runs" / "second" / "card.json"
    facts = json.loads(card.read_text())
    facts["method"]["name"] = "dkd"
    card.write_text(json.dumps(facts))
    (tmp_path / "runs" / "second" / "recipe.toml").write_text('[student]\nmodel = "mlp"\n')
    make_board(tmp_path / "runs" / "compared", seeds=2, fail=())
    found = server(tmp_path / "runs", 0)
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}"
    found.shutdown()
    thread.join()
    found.server_close()


def test_a_folder_of_runs_is_searched_filtered_and_compared(browser, listed):  # noqa: F811
    from selenium.webdriver.common.by import By

    assert troubles(browser, f"{listed}/") == []
    names = "return [...document.querySelectorAll('.runs tbody tr:not([hidden])')].map(row => row.dataset.name).sort()"
    assert browser.execute_script(names) == ["compared", "first", "other", "second"]
    browser.find_element(By.ID, "find").send_keys("dkd second")
    assert browser.execute_script(names) == ["second"]
    browser.find_element(By.ID, "find").clear()
    browser.execute_script("""const by = document.querySelector('select[data-by=method]'); by.value = 'two_stages';
        by.dispatchEvent(new Event('input', {bubbles: true})); const find = document.getElementById('find');
        find.dispatchEvent(new Event('input', {bubbles: true}))""")
    assert browser.execute_script(names) == ["first", "other"]
    assert browser.execute_script("return document.querySelectorAll('.spark').length") == 3
    side = browser.find_element(By.ID, "side")
    assert not side.is_enabled()
    browser.execute_script("for (const box of document.querySelectorAll('input[value=first], input[value=second]')) box.click()")
    side.click()
    assert browser.current_url.endswith(("/side/first/second", "/side/second/first"))
    text = browser.find_element(By.TAG_NAME, "main").text
    assert "student.model" in text and "same answer to 100.0 %" in text and "cannot be told apart" in text
    assert troubles(browser, browser.current_url) == []


def test_only_folders_of_the_list_are_served(listed):
    import urllib.error
    import urllib.request

    def status(path):
        try:
            return urllib.request.urlopen(listed + path, timeout=10).status
        except urllib.error.HTTPError as error:
            return error.code

    assert [status(path) for path in ("/", "/state", "/run/first", "/state/run/first", "/side/first/other")] == [200] * 5
    for path in ("/run/..", "/run/%2e%2e", "/run/nowhere", "/side/first", "/run/first/card.json", "/first", "/state/", "/run/"):
        assert status(path) == 404, path
