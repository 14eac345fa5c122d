"""The page of an explanation in a real browser: no error, no request, no width that scrolls sideways, no text cut off."""

import os
import shutil

import pytest
from synthetic import all_in_the_relations

from limbeck.explanation.agree import agreement
from limbeck.explanation.gain import take_apart
from limbeck.explanation.inside import gram, similarity
from limbeck.explanation.page import page
from limbeck.explanation.words import verdict
from limbeck.tasks.predictions import Predictions

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

if not BROWSER or not DRIVER:
    pytest.skip("chromium and chromedriver are needed for the browser tests; install them to run these", allow_module_level=True)
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is needed for the browser tests; pip install selenium")

OUTSIDE = """
return [...document.querySelectorAll("svg.chart")].flatMap(svg => {
  const whole = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("text")].filter(t => {
    const a = t.getBoundingClientRect();
    return a.left < whole.left - 1 || a.right > whole.right + 1 || a.top < whole.top - 1 || a.bottom > whole.bottom + 1;
  }).map(t => t.textContent);
});
"""


def silence(event):
    pass


def facts(folder):
    """An explanation with everything in it, of made-up models, one of whose classes has a hostile name."""
    import torch

    torch.manual_seed(0)
    labels = torch.arange(300) % 3
    seen = {who: Predictions(torch.randn(300, 3), labels, torch.arange(300)) for who in ("teacher", "baseline", "student")}
    classes = ["<script>document.title='owned'</script>", "a class with a name that is rather long", "c"]
    worse = {
        "samples": 300,
        "accuracy": {"teacher": 0.9, "baseline": 0.5, "student": 0.7},
        "agreement": {"baseline": 0.5, "student": 0.8},
    }
    layers = {f"a_layer_with_a_long_name.{k}": gram(torch.randn(50, 4)) for k in range(14)}
    kept = [{"layer": name, "input": 0.9 - 0.05 * k, "label": 0.3} for k, name in enumerate(layers)]
    found = {
        "version": 1,
        "limbeck": "0",
        "method": {"name": "kd"},
        "data": {"name": "made", "classes": classes, "kind": "image"},
        "agreement": agreement(seen, classes),
        "corruptions": [{"name": "clean", "strength": "", **worse}, {"name": "columns dropped", "strength": "10 %", **worse}],
        "inside": {
            "samples": 50,
            "similarity": {"student": similarity(layers, layers)},
            "keeps": {"student": kept},
            "input_itself": kept[0],
        },
        "gain": take_apart(all_in_the_relations(folder, epochs=1), [0, 1], silence),
    }
    return found | {"verdict": verdict(found)}


def test_the_page_in_a_browser(tmp_path):
    address = tmp_path / "explain.html"
    address.write_text(page(facts(tmp_path / "runs")), encoding="utf-8")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for word in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", f"--user-data-dir={tmp_path / 'browser'}", "--window-size=1200,900", "--disable-dev-shm-usage",
    ):  # fmt: skip
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    from selenium.webdriver.chrome.service import Service

    os.environ.setdefault("SE_OFFLINE", "true")
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        driver.get(address.as_uri())
        assert driver.get_log("browser") == [] and "owned" not in driver.title
        assert driver.execute_script(OUTSIDE) == []
        for width in (320, 768, 1440):
            screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 700}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
            assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        driver.quit()
