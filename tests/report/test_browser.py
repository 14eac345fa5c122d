"""The page in a real browser, without a network: sort, hover, theme, phone width, print, no errors, no request."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest
from synthetic_run import make_run

from limbeck.methods import CATALOGUE
from limbeck.report import svg, write_report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

if not BROWSER or not DRIVER:
    pytest.skip("chromium and chromedriver are needed for the browser tests; install them to run these", allow_module_level=True)
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is needed for the browser tests; pip install selenium")

OVERLAPS = """
const found = [];
for (const svg of document.querySelectorAll("svg.lbk")) {
  const name = svg.querySelector("title").textContent, whole = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll("text")].map(t => [t, t.getBoundingClientRect()]);
  for (const [i, [t, a]] of texts.entries()) {
    if (a.left < whole.left || a.right > whole.right || a.bottom > whole.bottom) found.push([name, t.textContent, "outside"]);
    const box = t.parentNode.querySelector(":scope > rect.box");
    if (box && t.parentNode.querySelector(":scope > title")) {
      const b = box.getBoundingClientRect();
      if (a.left < b.left || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1)
        found.push([name, t.textContent, "box"]);
    }
    for (const [u, b] of texts.slice(i + 1))
      if (a.left < b.right - 1 && b.left < a.right - 1 && a.top + 3 < b.bottom && b.top + 3 < a.bottom)
        found.push([name, t.textContent, u.textContent]);
  }
}
return found;
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    home = tmp_path_factory.mktemp("browser")
    for word in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", f"--user-data-dir={home}", "--window-size=1200,900", "--disable-dev-shm-usage",
    ):  # fmt: skip
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    from selenium.webdriver.chrome.service import Service

    os.environ.setdefault("SE_OFFLINE", "true")
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return write_report(make_run(tmp_path_factory.mktemp("report") / "run")).as_uri()


@pytest.fixture
def opened(browser, address):
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get(address)
    return browser


def rows(browser) -> list[str]:
    return browser.execute_script(
        "return [...document.querySelector('#result table').querySelectorAll('tbody th')].map(x => x.innerText.split('\\n')[0].trim())"
    )


def test_no_console_errors_and_no_request(opened, address):
    import json

    opened.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert opened.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    asked = {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}
    assert {url for url in asked if not url.startswith(("data:", "chrome:", "chrome-untrusted:"))} == {address}


def test_sorting_by_click_and_by_keyboard(opened):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    assert rows(opened) == ["teacher", "baseline", "student"]
    heads = opened.find_elements(By.CSS_SELECTOR, "#result thead button")
    heads[1].click()  # accuracy, upwards
    assert rows(opened) == ["baseline", "student", "teacher"]
    heads[1].send_keys(Keys.ENTER)
    assert rows(opened) == ["teacher", "student", "baseline"]
    sorts = opened.execute_script("return [...document.querySelectorAll('#result th')].map(x => x.ariaSort).filter(Boolean)")
    assert sorts == ["descending"]
    heads[0].click()
    assert rows(opened) == ["teacher", "baseline", "student"]


def test_hovering_shows_the_value(opened):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    tip = opened.find_element(By.ID, "tip")
    assert not tip.is_displayed()
    for place, expected in (
        ("#curves .zone:nth-last-of-type(3)", "step"),
        ("#result .mark.teacher", "1.2 MB"),
        ("#cost .mark.teacher", "0.9 ms"),
        ("#confusion .cell", "label 0, predicted 0"),
    ):
        mark = opened.find_element(By.CSS_SELECTOR, place)
        opened.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", mark)
        for _ in range(20):  # the scroll itself, which hides the value, may still be under way
            ActionChains(opened).move_to_element(mark).move_by_offset(1, 0).perform()
            if tip.is_displayed():
                break
        assert tip.is_displayed(), place
        assert expected in tip.text


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_no_width_needs_sideways_scrolling(opened, width):
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 700}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    opened.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width


CONTRAST = """
const light = c => { const v = c.map(x => (x /= 255) <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
const parse = s => s.match(/[\\d.]+/g).map(Number);
const low = [];
for (const el of document.querySelectorAll("main *:not(svg *), header *")) {
  const bare = ![...el.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  if (bare || !el.getClientRects().length || el.className === "hide") continue;
  let under = el, back = [0, 0, 0, 0];
  while (under && !back[3]) {
    const c = parse(getComputedStyle(under).backgroundColor);
    back = c.length < 4 ? [...c, 1] : c;
    under = under.parentElement;
  }
  const a = light(parse(getComputedStyle(el).color).slice(0, 3)), b = light(back.slice(0, 3));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) low.push([el.tagName, el.textContent.slice(0, 30), ratio]);
}
return low;
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast_in_both_themes(opened, theme):
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]})
    assert opened.execute_script(CONTRAST) == []
    before = opened.execute_script("return getComputedStyle(document.documentElement).backgroundColor")
    opened.execute_script("document.getElementById('theme').click()")
    assert opened.execute_script("return getComputedStyle(document.documentElement).backgroundColor") != before
    assert opened.execute_script(CONTRAST) == []


def printed(driver, **paper):
    """A page as PDF, base64; a browser on a loaded machine fails now and then, and is asked again."""
    from selenium.common.exceptions import WebDriverException

    for _ in range(2):
        with contextlib.suppress(WebDriverException):
            return driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True, **paper})["data"]
    return driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True, **paper})["data"]


def test_it_prints(opened):
    assert len(printed(opened)) > 10_000


def test_a_hostile_class_name_does_not_run(browser, tmp_path):
    folder = make_run(
        tmp_path / "run", classes=("<script>document.title='owned'</script>", "<img src=x onerror=document.title='owned'>", "c")
    )
    browser.get(write_report(folder).as_uri())
    assert "owned" not in browser.title
    assert "<script>document.title" in browser.find_element("tag name", "body").text


def test_no_text_of_any_drawing_overlaps(browser, tmp_path: Path):
    page = tmp_path / "all.html"
    page.write_text("<meta charset=utf-8>" + "".join(svg(make()) for make in CATALOGUE.values()), encoding="utf-8")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    for _ in range(3):  # on a loaded machine it may measure before all is laid out; what overlaps does so each time
        browser.get(page.as_uri())
        found = browser.execute_async_script(f"document.fonts.ready.then(() => arguments[0]((() => {{{OVERLAPS}}})()))")
        if not found:
            break
    assert found == []
