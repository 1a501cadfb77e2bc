"""The pages of processes as a browser shows them: live, safe, and whole on a narrow screen."""

from __future__ import annotations

import pytest

from .browser import LOWEST_CONTRAST, chromium, resize, shows
from .waiting import wait_for_end
from .watching import Stage

USER = "ann:pw"
HEADING = "Kept since"
HOSTILE = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>"


@pytest.fixture(scope="module")
def stage(tmp_path_factory, redis_url):
    return Stage(tmp_path_factory.mktemp("watched"), redis_url)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile"), user=USER) as browser:
        yield browser


@pytest.fixture(scope="module")
def processes(browser, stage):
    registry = stage.processes()
    yield registry
    registry.store.close()


@pytest.fixture(scope="module")
def flower(stage, processes):
    with stage.flower(user=USER, CP_TEST_COLUMN=HEADING) as flower, stage.worker():
        yield flower


def press(browser, action, **fields):
    """Press the button of an action and confirm what it asks."""
    browser.find_element("css selector", f'[data-act="{action}"]').click()
    for field, value in fields.items():
        browser.find_element("css selector", f"#cp-{field}").send_keys(value)
    browser.find_element("css selector", "#cp-yes").click()


def test_a_run_is_seen_from_its_start_by_a_button_to_its_end_without_reloading(browser, flower, stage, processes):
    """Progress, pause with its note, failing items and outcome appear by themselves, in the store's numbers."""
    feeds = processes["feeds"]
    feeds.register_works({"a": None, "b": None, HOSTILE: {"broken": True}, "y": {"gate": "opened"}, "z": {"gate": "opened"}})
    resize(browser, 1280)
    browser.get(f"{flower.url}/processes/feeds")
    browser.execute_script("window.first = true")
    shows(browser, "#cp-state", "never ran")
    press(browser, "run")
    shows(browser, "#cp-progress", "3 of 5 · 60.0 %")
    shows(browser, "#cp-failing", HOSTILE, "INCOMPLETE")
    shows(browser, "#cp-facts", "1 / 5")
    assert feeds.state().run.counts.ended == 3

    press(browser, "pause", note=HOSTILE)
    shows(browser, "#cp-state", "ACTIVE", "PAUSED")
    shows(browser, "#cp-warning", f"Paused by flower:ann: {HOSTILE}")
    assert feeds.state().paused.by == "flower:ann"
    press(browser, "resume")

    (stage.folder / "opened").touch()
    run = wait_for_end(feeds, feeds.state().run.id)
    shows(browser, "#cp-state", run.state.value)
    shows(browser, "#cp-progress", f"{run.counts.ended} of {run.counts.enlisted} · 100 %")
    shows(browser, "#cp-runs", run.id, f"{run.counts.ended} / {run.counts.enlisted}")
    shows(browser, "#cp-slots", "ran", "flower:ann")
    feeds.update_settings({"api_key": "s3cret", HOSTILE: 1}, by=HOSTILE)
    shows(browser, "#cp-settings", "api_key", "********")
    shows(browser, "#cp-versions", HOSTILE, "as in the code", '"api_key": "********"')
    bars = browser.execute_script("return document.querySelectorAll('#cp-chart rect title').length")
    assert bars == 1
    assert browser.execute_script("return window.first") is True
    assert not browser.execute_script("return window.hacked")
    assert browser.execute_script("return document.querySelectorAll('#cp-page td img, #cp-page th script').length") == 0


def test_the_list_leads_to_the_processes(browser, flower, processes):
    """Each process has its row, and its name leads to its page."""
    browser.get(f"{flower.url}/processes")
    shows(browser, "#cp-processes", *(process.name for process in processes))
    browser.find_element("link text", "quiet").click()
    shows(browser, "#cp-state", "never ran")
    assert browser.current_url == f"{flower.url}/processes/quiet"


def test_a_row_in_a_table_is_a_column_and_a_verb_of_the_page(browser, flower, processes):
    """The heading and the value stand in each list and among the facts; the button asks, acts and says what it did."""
    resize(browser, 1280)
    browser.get(f"{flower.url}/processes")
    shows(browser, "#cp-processes", HEADING, "since Monday")
    browser.get(f"{flower.url}/processes/checks")
    processes["checks"].update_settings({"a": 1})
    processes["checks"].register_work("a")
    processes["checks"].run_now()
    for part in ("facts", "runs", "slots", "versions"):
        shows(browser, f"#cp-{part}", HEADING, "since Monday")
    browser.find_element("css selector", '[data-act="tidy"]').click()
    shows(browser, "#cp-dialog", "Tidy up?", "What lies about goes away.")
    browser.find_element("css selector", "#cp-yes").click()
    shows(browser, "#cp-message", "Tidied checks.")
    assert processes["checks"].state().paused.by == "flower:ann"
    processes["checks"].resume()


@pytest.mark.parametrize("path", ["/processes", "/processes/feeds"])
@pytest.mark.parametrize("dark", [False, True])
def test_a_narrow_screen_shows_all_of_it(browser, flower, path, dark):
    """At 400 pixels nothing has to be scrolled sideways, and texts stand out from what is behind them."""
    resize(browser, 400, dark=dark)
    browser.get(f"{flower.url}{path}")
    shows(browser, "#cp-status", "Live")
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= 400
    assert browser.execute_script(LOWEST_CONTRAST, "#cp-page", ".btn, .page-eyebrow") >= 4.5  # those are Flower's own
