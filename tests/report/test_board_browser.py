"""A comparison's page in a real browser, as a file and while it is watched."""

import json
import threading

import pytest
from synthetic_board import change_card, make_board
from synthetic_run import make_run
from test_browser import CONTRAST, browser  # noqa: F401  (the fixture)

from limbeck.comparison.pages import write_page
from limbeck.web.watch import server

ROWS = "return [...document.querySelector('#result table').querySelectorAll('tbody th')].map(x => x.innerText.trim())"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return write_page(make_board(tmp_path_factory.mktemp("board") / "board")).as_uri()


@pytest.fixture
def opened(browser, address):  # noqa: F811
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get(address)
    return browser


def requests(driver):
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}
    return {url for url in asked if not url.startswith(("data:", "chrome:", "chrome-untrusted:"))}


def test_no_console_errors_and_no_request(opened, address):
    opened.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert opened.get_log("browser") == []
    assert requests(opened) == {address}


def test_it_sorts_by_every_column(opened):
    from selenium.webdriver.common.by import By

    assert opened.execute_script(ROWS) == ["dkd", "kd:temperature=2", "kd", "baseline", "teacher"]
    heads = opened.find_elements(By.CSS_SELECTOR, "#result thead button")
    heads[1].click()
    assert opened.execute_script(ROWS)[:4] == ["baseline", "kd", "kd:temperature=2", "dkd"]
    heads[2].click()  # difference to the baseline: rows without one come last
    assert opened.execute_script(ROWS)[:3] == ["kd", "kd:temperature=2", "dkd"]
    heads[0].click()
    assert opened.execute_script(ROWS) == ["dkd", "kd:temperature=2", "kd", "baseline", "teacher"]


def test_every_chart_shows_values_under_the_pointer(opened):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    tip = opened.find_element(By.ID, "tip")
    for place, expected in (("#seeds .mark", "seed"), ("#curves .zone:nth-last-of-type(3)", "step"), ("#cost .mark.teacher", "teacher"),
                            ("#alpha .zone:nth-last-of-type(3)", "alpha")):  # fmt: skip
        mark = opened.find_element(By.CSS_SELECTOR, place)
        opened.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", mark)
        for _ in range(20):
            ActionChains(opened).move_to_element(mark).move_by_offset(1, 0).perform()
            if tip.is_displayed():
                break
        assert expected in tip.text, place


@pytest.mark.parametrize("width", [320, 390, 1440])
def test_no_width_needs_sideways_scrolling(opened, width):
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 700}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    opened.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast_in_both_themes(opened, theme):
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]})
    opened.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert opened.execute_script(CONTRAST) == []


def test_it_prints(opened):
    assert len(opened.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"]) > 10_000


def test_a_watched_page_grows_without_losing_what_the_reader_did(browser, tmp_path):  # noqa: F811
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    folder = make_board(tmp_path / "board", missing=2, fail=())
    found = server(folder, 0)
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        for kind in ("browser", "performance"):
            browser.get_log(kind)
        browser.get(f"http://127.0.0.1:{found.server_port}/")
        assert "In progress: 10 of 12" in browser.find_element(By.ID, "progress").text
        browser.execute_script("window.mine = 1; document.querySelectorAll('details')[1].open = true")
        browser.find_elements(By.CSS_SELECTOR, "#result thead button")[1].click()
        before = browser.execute_script(ROWS)
        change_card(make_run(folder / "runs" / "kd_temperature=2-seed2", n=30, pictures=False), 0.9, "kd")
        WebDriverWait(browser, 15).until(lambda b: "11 of 12" in b.find_element(By.ID, "progress").text)
        assert browser.execute_script("return [window.mine, document.querySelectorAll('details')[1].open]") == [1, True]
        assert browser.execute_script(ROWS) == before, "still sorted as the reader chose"
        assert browser.get_log("browser") == []
        assert requests(browser) <= {f"http://127.0.0.1:{found.server_port}/{path}" for path in ("", "state")}
    finally:
        found.shutdown()
        thread.join()
        found.server_close()
    WebDriverWait(browser, 15).until(lambda b: "has stopped" in b.find_element(By.ID, "live").text)
