"""The admin of processes as a browser shows it, with real web server, worker and beat: live, acting, whole when narrow."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise

import pytest
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException

from .browser import LOWEST_CONTRAST, chromium, resize, shows
from .office import PASSWORD, USER, Office
from .waiting import wait_for

HOSTILE = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>"


@pytest.fixture(scope="module")
def office(tmp_path_factory, redis_url):
    return Office(tmp_path_factory.mktemp("office"), redis_url)


@pytest.fixture(scope="module")
def feeds(office):
    registry = office.processes()
    yield registry["feeds"]
    registry.store.close()


@pytest.fixture(scope="module")
def site(office):
    with office.web() as url, office.worker(), office.beat():
        yield f"{url}/admin"


@pytest.fixture(scope="module")
def browser(tmp_path_factory, site):
    """Give a browser that has logged in."""
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        resize(browser, 1280)
        browser.get(f"{site}/login/?next=/admin/celery_process/process/")
        browser.find_element("name", "username").send_keys(USER)
        browser.find_element("name", "password").send_keys(PASSWORD)
        browser.find_element("css selector", "[type=submit]").click()
        shows(browser, "#cp-list", "feeds", "reports")
        yield browser


def press(browser, selector):
    """Press a button or a link once it is there; one that was drawn anew meanwhile is another."""

    def pressed():
        with suppress(NoSuchElementException, StaleElementReferenceException):
            browser.find_element("css selector", selector).click()
            return True

    wait_for(pressed, what=selector)


def confirm(browser, **fields):
    """Fill in what the page asks, and say yes."""
    for field, value in fields.items():
        browser.find_element("name", field).send_keys(value)
    press(browser, "#cp-yes")


def one(site):
    return f"{site}/celery_process/process/feeds"


def test_a_run_is_seen_live_paused_resumed_and_its_failures_redriven(browser, office, feeds, site):
    """Progress, pause, failing items and outcome appear without a reload, in the store's numbers; who did it is written down."""
    feeds.register_works({"a": None, "b": None, HOSTILE: {"broken": True}, "y": {"gate": "opened"}, "z": {"gate": "opened"}})
    browser.get(f"{one(site)}/change/")
    shows(browser, "#cp-live", "Live")
    shows(browser, "#cp-head", "never ran")
    press(browser, "#cp-do-run")
    shows(browser, "#cp-progress", "3 of 5 · 60.0 %")
    browser.execute_script("window.first = true")
    shows(browser, "#cp-failing", HOSTILE, "INCOMPLETE")
    shows(browser, "#cp-progress", "1 / 5")
    assert feeds.state().run.counts.ended == 3

    press(browser, "#cp-do-pause")
    confirm(browser, note=HOSTILE)
    shows(browser, "#cp-head", "ACTIVE", "PAUSED", f"Paused by admin:{USER}: {HOSTILE}")
    assert feeds.state().paused.by == f"admin:{USER}"
    press(browser, "#cp-do-resume")
    shows(browser, ".messagelist", "Resumed")
    browser.execute_script("window.first = true")

    (office.folder / "opened").touch()
    shows(browser, "#cp-progress", "5 of 5 · 100 %")
    shows(browser, "#cp-head", "COMPLETED")
    run = feeds.state().run
    shows(browser, "#cp-runs", run.id, f"{run.counts.ended} / {run.counts.enlisted}")
    shows(browser, "#cp-slots", "ran", f"admin:{USER}")
    shows(browser, "#cp-settings", "api_key", "********")
    assert browser.execute_script("return window.first") is True

    (office.folder / "mended").touch()
    press(browser, f"#cp-redrive-{run.id}")
    shows(browser, ".messagelist", f"Redrove run {run.id}")
    shows(browser, "#cp-progress", "1 of 1 · 100 %")
    assert [again.counts.completed for again in feeds.runs()] == [1, 4]
    browser.get(f"{one(site)}/history/")
    shows(browser, "#change-history", "Started run", f"Paused: {HOSTILE}", "Resumed", f"Redrove run {run.id}")
    assert not browser.execute_script("return window.hacked")


def test_a_schedule_is_changed_and_beat_follows(browser, feeds, site):
    """The row of django-celery-beat has the new schedule, slots come by it, and who disables the row pauses the process."""
    browser.get(f"{one(site)}/settings/")
    schedule = browser.find_element("name", "schedule")
    assert schedule.get_attribute("value") == "3600"
    schedule.clear()
    schedule.send_keys("1")
    press(browser, "[value=Store]")
    shows(browser, ".messagelist", "Stored settings version 1; schedule 1")

    def slots_by_beat():
        ran = [entry.slot for entry in feeds.slots() if entry.by.startswith("beat")]
        return [later - earlier for later, earlier in pairwise(ran)][:2] == [timedelta(seconds=1)] * 2

    wait_for(slots_by_beat, what="slots of beat, a second apart")
    browser.get(f"{site}/django_celery_beat/periodictask/")
    shows(browser, "#result_list", "feeds.schedule", "every second")
    browser.find_element("link text", "feeds.schedule").click()
    press(browser, "[name=enabled]")
    press(browser, "[name=_save]")
    shows(browser, ".messagelist", "changed successfully")
    browser.get(f"{one(site)}/change/")
    shows(browser, "#cp-head", "PAUSED", "its periodic task is disabled", "every 1s")
    press(browser, "#cp-do-resume")
    shows(browser, ".messagelist", "Resumed")
    wait_for(lambda: feeds.state().paused is None, what="the end of the pause")


def test_items_are_found_registered_and_unregistered(browser, feeds, site):
    """By a beginning; by the form; by ticks, asked about first."""
    browser.get(f"{one(site)}/register/")
    browser.find_element("name", "names").send_keys("north\nnorth-east\nsouth")
    press(browser, "[value=Register]")
    shows(browser, ".messagelist", "Registered 3 of 3: north, north-east, south")
    browser.find_element("name", "q").send_keys("north")
    press(browser, ".cp-filter button")
    shows(browser, "#cp-items", "north-east")
    assert "south" not in browser.find_element("id", "cp-items").text
    press(browser, "[name=work][value=north-east]")
    press(browser, ".cp-foot button")
    shows(browser, ".cp-names", "north-east")
    press(browser, "#cp-yes")
    shows(browser, ".messagelist", "Unregistered 1 of 1: north-east")
    assert "north-east" not in [info.name for info in feeds.works()]


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_every_page_is_whole(browser, feeds, site, width, dark):
    """Nothing has to be scrolled sideways, texts stand out from what is behind them, and the strict policy is kept."""
    resize(browser, width, dark=dark)
    browser.get_log("browser")
    run = next(iter(feeds.runs())).id
    pages = ["change/", "items/", "item/?name=a", "register/", "runs/", f"runs/{run}/", "slots/", "settings/", "do/cancel/"]
    for url in (f"{site}/celery_process/process/", *(f"{one(site)}/{page}" for page in pages)):
        browser.get(url)
        shows(browser, "#content", "")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width, url
        assert browser.execute_script(LOWEST_CONTRAST, "#content-main", ".breadcrumbs") >= 4.5, url
    assert [line for line in browser.get_log("browser") if "favicon" not in line["message"]] == []


def test_a_page_that_nobody_looks_at_asks_nothing(browser, office, site):
    """While the page is hidden it asks nothing; shown again, it asks at once."""

    def asked():
        return (office.folder / "web.log").read_text().count("/feeds/live/")

    def hide(hidden):
        browser.execute_script(
            "Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true})", hidden
        )
        browser.execute_script("document.dispatchEvent(new Event('visibilitychange'))")

    browser.get(f"{one(site)}/change/")
    before = asked()
    wait_for(lambda: asked() > before + 1, what="questions again and again")
    hide(hidden=True)
    time.sleep(2)  # one may be on its way
    before = asked()
    time.sleep(4)
    assert asked() == before
    hide(hidden=False)
    wait_for(lambda: asked() > before, what="a question")
