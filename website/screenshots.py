"""`python -m website.screenshots RUN COMPARISON SEARCH`: the pictures of the documents, in a real browser, of real folders.

RUN: of `make demo-photos`, after `limbeck export`, `measure` and `explain`. COMPARISON: of `limbeck compare`. SEARCH: of
`limbeck shrink`. The folder that holds RUN is shown as a list of runs; the site must have been built (`make docs`). Needs
chromium, chromedriver and selenium.
"""

import argparse
import base64
import io
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from PIL import Image

from limbeck.web.watch import server
from website.sources import ROOT

DOCS, SITE = ROOT / "docs", ROOT / "build" / "site"
SETTLED = 1.0  # seconds that a page is given


def driver() -> Any:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(word)
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


def shoot(browser: Any, address: str, file: str, width: int, height: int, theme: str = "light") -> None:
    """A picture of the upper part of a page."""
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]})
    browser.get(address)
    time.sleep(SETTLED)
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    data = browser.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip})["data"]
    with Image.open(io.BytesIO(base64.b64decode(data))) as opened:
        opened.convert("RGB").save(DOCS / file, optimize=True)
    print(DOCS / file, (DOCS / file).stat().st_size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("run", "comparison", "search"):
        parser.add_argument(name, type=lambda text: Path(text).resolve())
    given = parser.parse_args()
    browser, serving = driver(), server(given.run.parent, 0)
    thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        page = (given.run / "report.html").as_uri()
        shoot(browser, page, "page.png", 1280, 1260)
        shoot(browser, page, "page-dark.png", 1280, 760, "dark")
        shoot(browser, page, "page-phone.png", 390, 844)
        shoot(browser, (given.comparison / "report.html").as_uri(), "page-comparison.png", 1280, 1100)
        shoot(browser, (given.search / "shrink.html").as_uri(), "search.png", 1280, 900)
        shoot(browser, (given.run / "explain.html").as_uri(), "explanation.png", 1280, 900)
        shoot(browser, f"http://127.0.0.1:{serving.server_port}/", "runs.png", 1280, 560)
        shoot(browser, (SITE / "index.html").as_uri(), "site.png", 1280, 800)
        shoot(browser, (SITE / "methods" / "index.html").as_uri(), "gallery.png", 1280, 800)
    finally:
        browser.quit()
        serving.shutdown()
        thread.join()
        serving.server_close()


if __name__ == "__main__":
    main()
