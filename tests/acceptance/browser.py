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

from .waiting import wait_for

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


def text_of(browser, selector):
    """Return what an element of the page says at the moment."""
    return browser.execute_script(
        "const found = document.querySelector(arguments[0]); return found && found.innerText", selector
    )


def shows(browser, selector, *words):
    """Wait until an element shows all the words."""
    return wait_for(
        lambda: all(word in (text_of(browser, selector) or "") for word in words),
        within=60,
        what=f"{words} in {selector}, not {text_of(browser, selector)!r}; {browser.get_log('browser')}",
    )


LOWEST_CONTRAST = """
const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
const luminance = (color) => {
  const [r, g, b] = numbers(color).map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (node) => {
  for (let at = node; at; at = at.parentElement) {
    const color = getComputedStyle(at).backgroundColor;
    const alpha = numbers(color)[3];
    if (alpha === undefined || alpha === 1) return color;
  }
  return 'rgb(255, 255, 255)';
};
const [whole, spared] = arguments;
const texts = [...document.querySelectorAll(`${whole} *`)].filter((node) =>
  [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim()) &&
  node.offsetParent && !(node instanceof SVGElement) && !node.closest(spared));
return Math.min(...texts.map((node) => {
  const [one, two] = [luminance(getComputedStyle(node).color), luminance(behind(node))];
  return (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
}));
"""
"""The lowest contrast of a text in what the first selector finds, but for what the second does."""
