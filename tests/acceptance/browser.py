"""A headless Chromium, where the machine has one with its driver; CP_TEST_BROWSER=1 demands it."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
)


@contextmanager
def chromium(profile: Path, *, user: str = "") -> Iterator[Any]:
    """Give the driver of a Chromium that sends a user's credentials with each request; skip where there is none."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        missing = "There is no chromium with its chromedriver on the machine's path."
        if os.environ.get("CP_TEST_BROWSER"):
            pytest.fail(missing)
        pytest.skip(f"{missing} CP_TEST_BROWSER=1 makes this a failure.")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (*_QUIET, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        browser.execute_cdp_cmd("Network.enable", {})
        if user:
            headers = {"Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"}
            browser.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": headers})
        yield browser
    finally:
        browser.quit()


def resize(browser: Any, width: int, height: int = 900, *, dark: bool = False) -> None:
    """Give the page a width in CSS pixels, also below what a window may have, and the look that its user prefers."""
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    look = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": look})
