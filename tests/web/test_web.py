"""The page in a real browser: strokes are drawn, the answers are those of Python on the same pixels, nothing leaves."""

import json
import os
import shutil
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest
import torch

from limbeck.__main__ import run
from limbeck.data import load
from limbeck.deploy.student import Deployed
from limbeck.errors import UserError
from limbeck.plan.taps import Tap
from limbeck.runs.sources import reopened
from limbeck.web import build, server
from limbeck.web.build import RUNTIME, levels, runtime_files

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
STROKES = {  # on the 280 x 280 board: as one draws them
    "0": [[(140 + 70 * np.sin(t), 140 - 100 * np.cos(t)) for t in np.linspace(0, 2 * np.pi, 14)]],
    "1": [[(110, 70), (145, 40), (145, 240)]],
    "7": [[(80, 50), (200, 50), (125, 240)]],
}


@pytest.fixture(scope="module")
def runtime():
    try:
        return runtime_files(None)
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    """A teacher and a student of the digits, trained for a moment."""
    folder = tmp_path_factory.mktemp("web") / "run"
    os.environ.setdefault("LIMBECK_STORE", str(folder.parent / "store"))
    widths = ["--set", "teacher.width=16", "--set", "student.width=8"]
    assert (
        run(["distill", *widths, "--epochs", "6", "--no-baseline", "--set", "onnx=false", "--quiet", "--out", str(folder)]) == 0
    )
    return folder


@pytest.fixture(scope="module")
def address(finished_run, runtime, tmp_path_factory):
    serving = server(build(finished_run, tmp_path_factory.mktemp("page"), runtime), 0)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serving.server_port}/"
    serving.shutdown()
    serving.server_close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not BROWSER or not DRIVER:
        pytest.skip("chromium and chromedriver are needed for the browser tests; install them to run these")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is needed for the browser tests; pip install selenium")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for word in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", f"--user-data-dir={tmp_path_factory.mktemp('browser')}", "--window-size=1100,900", "--disable-dev-shm-usage",
    ):  # fmt: skip
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    os.environ.setdefault("SE_OFFLINE", "true")
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(60)
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, address):
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get_log("performance")
    browser.get(address)
    WebDriverWait(browser, 60).until(lambda b: b.execute_script("return window.limbeck && window.limbeck.ready"))
    return browser


def stroke(page, lines):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    board = page.find_element(By.ID, "draw")
    for line in lines:
        before = page.execute_script("return window.limbeck.asked")
        moves = ActionChains(page, duration=20)
        places = [(round(x - 140), round(y - 140)) for x, y in line]
        moves.move_to_element_with_offset(board, *places[0]).click_and_hold()
        for place in places[1:]:
            moves.move_to_element_with_offset(board, *place)
        moves.release().perform()
        WebDriverWait(page, 30).until(lambda b, n=before: b.execute_script("return window.limbeck.asked") > n)
    page.execute_async_script("window.limbeck.busy.then(arguments[0])")
    return page.execute_script("return [Array.from(window.limbeck.pixels), window.limbeck.answers]")


def python_answers(folder, pixels):
    sources = reopened(folder)
    method, data, cast = sources.method, sources.data, sources.cast
    x = torch.tensor(pixels, dtype=torch.float32).view(1, *data.shape)
    with torch.no_grad():
        return {"student": Deployed(cast, method.deployed)(x)[0], "teacher": Deployed(cast, Tap("teacher"))(x)[0]}


@pytest.mark.parametrize("digit", STROKES)
def test_the_browser_answers_as_python_does_on_the_same_pixels(page, finished_run, digit):
    pixels, answers = stroke(page, STROKES[digit])
    assert len(pixels) == 64 and 0.5 < max(pixels) <= 1 and min(pixels) == 0
    for who, expected in python_answers(finished_run, pixels).items():
        assert np.allclose(answers[who], expected.numpy(), atol=1e-3), who  # float32 on another runtime
        shown = page.find_element("css selector", f".model.{who} .answer").text
        assert shown == str(int(expected.argmax())), who
        took = page.find_element("css selector", f".model.{who} dl dd:last-child").text
        assert took.endswith("ms") and float(took.split()[0]) > 0


def test_the_teacher_reads_what_is_drawn(page):
    right = 0
    for digit, lines in STROKES.items():
        page.find_element("id", "clear").click()
        _, answers = stroke(page, lines)
        right += int(np.argmax(answers["teacher"])) == int(digit)
    assert right >= 2, "a drawing is not fitted into the data's own frame"


def test_a_test_picture_is_given_as_it_is(page, finished_run):
    page.find_elements("css selector", "#samples button")[3].click()
    page.execute_async_script("window.limbeck.busy.then(arguments[0])")
    pixels, answers, sample = page.execute_script(
        "return [Array.from(window.limbeck.pixels), window.limbeck.answers, window.limbeck.facts.samples[3]]"
    )
    import base64

    assert np.allclose(np.array(pixels) * 255, np.frombuffer(base64.b64decode(sample["pixels"]), np.uint8), atol=1e-3)
    assert np.allclose(answers["student"], python_answers(finished_run, pixels)["student"].numpy(), atol=1e-3)


def test_nothing_is_asked_of_anyone_else_and_nothing_is_wrong(page, address):
    stroke(page, STROKES["1"])
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}
    assert {url for url in asked if not url.startswith((address, "data:", "blob:", "chrome:", "chrome-untrusted:"))} == set()
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.parametrize("width", [360, 800, 1280])
def test_no_width_needs_sideways_scrolling(page, width):
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 700}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_only_the_page_s_files_are_served_and_only_here(address, finished_run):
    for path in ("../card.json", "%2e%2e/card.json", "web.py", "student.safetensors", ""):
        with urllib.request.urlopen(address + path) if not path else pytest.raises(urllib.error.HTTPError, match="404"):
            if path:
                urllib.request.urlopen(address + path)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(urllib.request.Request(address, headers={"Host": "evil.example:80"}))


def test_what_cannot_be_built_is_one_sentence(finished_run, tmp_path, capsys):
    assert run(["web", str(tmp_path), "--no-serve"]) == 2
    assert "no finished run" in capsys.readouterr().err
    assert run(["web", str(finished_run), "--no-serve", "--runtime", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert RUNTIME[0] in err and err.count("\n") == 1


def test_an_own_folder_of_the_runtime_is_found(tmp_path):
    (tmp_path / "package" / "dist").mkdir(parents=True)
    for name in RUNTIME:
        (tmp_path / "package" / "dist" / name).write_bytes(b"x")
    assert runtime_files(tmp_path) == tmp_path / "package" / "dist"


@pytest.fixture(scope="module")
def bright_run(tmp_path_factory):
    """A teacher and a student of the digits in black on white."""
    folder = tmp_path_factory.mktemp("bright")
    digits = load("digits")
    arrays = {}
    for name in ("train", "validation", "test"):
        ending = "val" if name == "validation" else name
        arrays |= {f"x_{ending}": 255 - digits[name].inputs[:, 0].numpy(), f"y_{ending}": digits[name].labels.numpy()}
    np.savez(folder / "bright.npz", **arrays)
    os.environ.setdefault("LIMBECK_STORE", str(folder / "store"))
    words = ["--data", str(folder / "bright.npz"), "--teacher", "resnet8", "--student", "resnet8"]
    widths = ["--set", "teacher.width=16", "--set", "student.width=8", "--set", "onnx=false"]
    assert run(["distill", *words, *widths, "--epochs", "6", "--no-baseline", "--quiet", "--out", str(folder / "run")]) == 0
    return folder / "run"


def test_levels_are_measured():
    digits = load("digits")["train"].inputs[:200] / 255
    assert levels(digits) == (0.0, 1.0) and levels(1 - digits) == (1.0, 0.0)
    assert levels(0.2 + 0.5 * digits) == (0.2, 0.7) and levels(torch.full((3, 1, 4, 4), 0.5)) == (0.0, 1.0)


def test_data_in_black_on_white_are_drawn_so(browser, bright_run, runtime, tmp_path_factory):
    """The page drew white on black whatever the data: answers at chance."""
    serving = server(build(bright_run, tmp_path_factory.mktemp("page"), runtime), 0)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    try:
        from selenium.webdriver.support.ui import WebDriverWait

        browser.get(f"http://127.0.0.1:{serving.server_port}/")
        WebDriverWait(browser, 60).until(lambda b: b.execute_script("return window.limbeck && window.limbeck.ready"))
        assert "dark on light as in the data" in browser.find_element("id", "seen-words").text
        right = 0
        for digit, lines in STROKES.items():
            browser.find_element("id", "clear").click()
            pixels, answers = stroke(browser, lines)
            assert max(pixels) == 1 and min(pixels) < 0.5 and np.mean(pixels) > 0.5
            assert np.allclose(answers["student"], python_answers(bright_run, pixels)["student"].numpy(), atol=1e-3)
            right += int(np.argmax(answers["teacher"])) == int(digit)
        assert right >= 2
    finally:
        serving.shutdown()
        serving.server_close()
