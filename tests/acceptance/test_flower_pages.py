"""The pages of processes in Flower, read through HTTP: what they show, who may act, and what hostile texts can do."""

from __future__ import annotations

import json
import re
from importlib import import_module
from itertools import islice

import pytest
from tornado.web import create_signed_value

from celery_process import RunState

from .waiting import wait_for, wait_for_end
from .watching import Flower, Stage

flower_urls = import_module("flower.urls")
default_options = import_module("flower.options").default_options
USER = "ann:pw"
READ_ONLY = hasattr(default_options, "read_only")
HOSTILE = "</script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def stage(tmp_path_factory, redis_url):
    return Stage(tmp_path_factory.mktemp("watched"), redis_url)


@pytest.fixture(scope="module")
def processes(stage):
    registry = stage.processes()
    yield registry
    registry.store.close()


@pytest.fixture(scope="module")
def flower(stage, processes):
    with stage.flower(user=USER) as flower:
        yield flower


@pytest.fixture(scope="module")
def open_flower(stage, processes):
    """Start a Flower without authentication, under a prefix."""
    with stage.flower(prefix="watch") as flower:
        yield flower


@pytest.fixture(scope="module")
def run(stage, processes):
    """Make a run with failures, by a worker that has ended since."""
    feeds = processes["feeds"]
    feeds.register_works({"good": None, HOSTILE: {"broken": True}, "twice": {"errors": 2}, "gone": None})
    feeds.unregister_work("gone")
    with stage.worker():
        return wait_for_end(feeds, feeds.run_now(by="test").id)


def fresh(read):
    """Read until what was kept for a moment is no longer."""
    return wait_for(read, what="a fresh answer", every=0.3)


def test_plain_flower_has_the_page_and_its_tab(flower):
    """Nothing but the installed package is needed: the tab is in the navbar of every page."""
    for path in ("/", "/tasks", "/broker", "/processes", "/processes/feeds"):
        page = flower.ask(path)
        assert page.status == 200
        assert len(re.findall(r'href="/processes"[^>]*>Processes</a>', page.text)) == (
            2 if path == "/processes/feeds" else 1
        )
    for asset, kind in (("css", "text/css"), ("js", "javascript")):
        assert kind in flower.ask(f"/processes-assets/processes.{asset}").headers["Content-Type"]


def test_the_numbers_are_those_of_the_store_and_of_the_command_line(flower, stage, processes, run):
    """API, page and `process show --json` tell the same run in the same numbers."""
    said = stage.say("show", "feeds", "--json")["state"]
    one = fresh(lambda: (found := flower.ask("/api/processes/feeds").json)["run"] and found)
    assert one["run"] == said["run"]
    assert flower.ask("/processes/feeds?json=1").json["run"] == said["run"]
    overview = one["overview"]
    assert (overview["state"], overview["run_id"], overview["errors"]) == (run.state.value, run.id, run.total_errors)
    assert (overview["done"], overview["total"], overview["fraction"]) == (run.counts.ended, run.counts.enlisted, 1.0)
    assert overview["limit"] == 5
    assert overview["next_slot"] > overview["at"]
    [listed] = [row for row in flower.ask("/api/processes").json["processes"] if row["process"] == "feeds"]
    assert {key: listed[key] for key in ("state", "done", "total", "errors", "rate")} == {
        key: overview[key] for key in ("state", "done", "total", "errors", "rate")
    }
    assert [found["id"] for found in one["runs"]] == [found.id for found in islice(processes["feeds"].runs(), 30)]
    assert [found["end"] for found in one["slots"]] == [found.end.value for found in islice(processes["feeds"].slots(), 30)]


def test_health_is_what_doctor_finds(flower, stage):
    """The status says whether all is well, the findings are those of the command line; nobody else's to read."""
    answer = flower.ask("/processes/health")
    assert answer.status == (200 if answer.json["ok"] else 503)
    said = stage.say("doctor", "--json", status=0 if answer.json["ok"] else 1)
    found = {finding["check"]: finding["ok"] for finding in answer.json["findings"]}
    assert found == {finding["check"]: finding["ok"] for finding in said["findings"]}
    assert found["store"]
    assert found["broker"]
    assert not found["workers"]  # the worker of the run has ended


def test_failing_items_come_with_their_errors_and_attempts(flower, run):
    """Each item that the run keeps errors of, with its state; its name as it is, since JSON needs no escapes."""
    failing = {item["work"]: item for item in flower.ask("/api/processes/feeds").json["failing"]}
    assert set(failing) == {HOSTILE, "twice"}
    broken = failing[HOSTILE]
    assert (broken["state"], broken["attempt"], broken["total_errors"]) == ("INCOMPLETE", 1, 1)
    assert HOSTILE in broken["errors"][0]["text"]
    assert (failing["twice"]["state"], failing["twice"]["total_errors"]) == ("COMPLETED", 2)


def test_settings_are_shown_with_their_version_but_no_secret(flower, processes):
    """What is stored is told from what the code says, with version and who; values named like secrets are hidden."""
    processes["feeds"].update_settings({"url": "https://example.org/new", "tokens": ["a"]}, by="bob")
    found = fresh(lambda: (one := flower.ask("/api/processes/feeds").json)["overrides"]["version"] and one)
    settings = {item["name"]: (item["value"], item["stored"]) for item in found["settings"]}
    assert settings["url"] == ("https://example.org/new", True)
    assert settings["login"] == ({"password": "********", "user": "ann"}, False)
    assert (settings["api_key"], settings["tokens"]) == (("********", False), ("********", True))
    assert found["overrides"]["by"] == "bob"
    [version] = found["settings_history"]
    assert (version["version"], version["by"], version["changed_at"]) == (1, "bob", found["overrides"]["changed_at"])
    assert version["settings"] == {"url": "https://example.org/new", "tokens": "********"}
    assert "s3cret" not in json.dumps(found)


def test_actions_do_what_the_command_line_does_as_flower_s_user(flower, processes):
    """Run, pause, resume, cancel and redrive; the ledger and the pause name the user."""
    checks = processes["checks"]
    checks.register_work("waits", {"gate": "never"})
    ran = flower.ask("/api/processes/checks/run", {}).json["run"]
    assert checks.state().run.id == ran["id"]
    assert next(checks.slots()).by == "flower:ann"

    again = flower.ask("/api/processes/checks/run", {})
    assert (again.status, "has an open run" in again.json["error"]) == (409, True)

    assert flower.ask("/api/processes/checks/pause", {"note": HOSTILE}).status == 200
    paused = checks.state().paused
    assert (paused.note, paused.by) == (HOSTILE, "flower:ann")
    assert flower.ask("/api/processes/checks").json["overview"]["paused"]["note"] == HOSTILE

    assert flower.ask("/api/processes/checks/resume", {}).status == 200
    assert checks.state().paused is None

    stopped = flower.ask("/api/processes/checks/cancel", {}).json["run"]
    assert (stopped["state"], stopped["reason"]) == ("INCOMPLETE", "cancelled")

    again = flower.ask("/api/processes/checks/redrive", {"run": ran["id"]}).json["run"]
    assert checks.state().run.id == again["id"] != ran["id"]
    assert flower.ask("/api/processes/checks/redrive", {"run": "9-nothing"}).status == 404
    checks.cancel_run()
    assert checks.state().run.state is RunState.INCOMPLETE


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec_Fetch_Site": "cross-site"}])
def test_another_site_cannot_act(flower, processes, headers):
    """A browser that a foreign page sends here is refused, although it brings the user's credentials."""
    assert flower.ask("/api/processes/quiet/pause", {}, **headers).status == 403
    assert processes["quiet"].state().paused is None


def test_without_credentials_there_is_nothing(flower):
    """Under basic authentication neither page nor API nor action answers a stranger."""
    for stranger in (Flower(flower.url), Flower(flower.url, "ann:wrong")):
        for path in ("/processes", "/processes?json=1", "/api/processes", "/api/processes/feeds"):
            assert stranger.ask(path).status == 401
        assert stranger.ask("/api/processes/feeds/run", {}).status == 401


def test_an_open_flower_shows_pages_and_acts_for_nobody(open_flower, processes):
    """Without authentication Flower's pages are open and its API is closed; so are these."""
    page = open_flower.ask("/processes/feeds")
    assert page.status == 200
    assert 'data-acts=""' in page.text
    assert 'data-act="run"' not in page.text
    assert open_flower.ask("/api/processes").status == 401
    assert open_flower.ask("/processes/feeds?json=1").status == 401
    assert open_flower.ask("/api/processes/quiet/pause", {}).status == 401
    assert processes["quiet"].state().paused is None


def test_everything_works_under_a_prefix(open_flower):
    """With --url_prefix the tab, the style and the JSON are below it."""
    page = open_flower.ask("/processes")
    assert 'href="/watch/processes"' in page.text
    for link in re.findall(r'"(/watch/processes[^"]*)"', page.text):
        assert open_flower.ask(link.removeprefix("/watch")).status == 200
    assert len(open_flower.ask("/processes?json=1", X_Celery_Process="page").json["processes"]) == 4


def test_an_api_that_is_open_to_all_takes_actions_of_nobody_in_particular(stage, processes):
    """FLOWER_UNAUTHENTICATED_API opens the actions as it opens Flower's own, still not to other sites."""
    with stage.flower(FLOWER_UNAUTHENTICATED_API="true") as flower:
        assert flower.ask("/api/processes/quiet/pause", {}, Origin="https://evil.example").status == 403
        assert processes["quiet"].state().paused is None
        assert flower.ask("/api/processes/quiet/pause", {}).status == 200
        assert processes["quiet"].state().paused.by == "flower:anonymous"
        assert 'data-act="run"' in flower.ask("/processes/quiet").text
    processes["quiet"].resume()


@pytest.mark.skipif(not READ_ONLY, reason="this Flower has no --read_only")
def test_a_flower_that_only_reads_takes_no_actions(stage, processes):
    """Under --read_only there are no buttons, and an action is refused to whoever asks."""
    with stage.flower("--read_only", user=USER) as flower:
        assert flower.ask("/api/processes/quiet/pause", {}).status == 403
        assert 'data-act="run"' not in flower.ask("/processes/quiet").text
        assert flower.ask("/api/processes/quiet").status == 200
    assert processes["quiet"].state().paused is None


def test_who_is_logged_in_acts_by_that_name(stage, processes):
    """A session of Flower's --auth is recorded as its user; without the session's token, where Flower has one, nothing."""
    secret, email = "a secret of the test", "bea@example.org"
    with stage.flower(
        f"--auth={email}", f"--cookie_secret={secret}", "--auth_provider=flower.views.auth.GithubLoginHandler"
    ) as flower:
        session = f"user={create_signed_value(secret, 'user', email).decode()}"
        page = flower.ask("/processes/quiet", Cookie=session)
        assert page.status == 200
        token = re.search(r"_xsrf=([^;]+)", page.headers.get("Set-Cookie", ""))
        if "xsrf_cookies" in flower_urls.settings:
            assert flower.ask("/api/processes/quiet/pause", {}, Cookie=session).status == 403
            assert processes["quiet"].state().paused is None
            session += f"; _xsrf={token[1]}"
        given = {"X_XSRFToken": token[1]} if token else {}
        assert flower.ask("/api/processes/quiet/pause", {}, Cookie=session, **given).status == 200
        assert processes["quiet"].state().paused.by == f"flower:{email}"
        assert flower.ask("/api/processes/quiet/pause", {}).status == 403
    processes["quiet"].resume()


@pytest.mark.parametrize("path", [f"/processes/{HOSTILE}", f"/processes/{HOSTILE}?json=1", f"/api/processes/{HOSTILE}"])
def test_an_unknown_process_is_an_error_that_executes_nothing(flower, path):
    """A name out of a link comes back escaped, or as JSON."""
    answer = flower.ask(path.replace("<", "%3C").replace(">", "%3E").replace("/script", "%2Fscript"))
    assert answer.status == 404
    assert "<script>alert" not in answer.text or "json" in answer.headers["Content-Type"]


def test_a_store_out_of_reach_is_told_and_held_against_nobody(stage, processes):
    """Flower starts and answers without its store; the page says what is wrong."""
    with stage.flower(user=USER, CP_TEST_STORE="redis://127.0.0.1:1/0") as flower:
        answer = flower.ask("/processes?json=1")
        assert answer.status == 503
        assert "127.0.0.1:1" in answer.json["error"]
        assert flower.ask("/healthcheck").status == 200
