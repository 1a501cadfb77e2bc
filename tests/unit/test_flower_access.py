"""Who gets an answer from Flower's pages of processes: with a login, without one, from another site, by a foreign name."""

from __future__ import annotations

import asyncio
import logging
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from celery import Celery

from celery_process import Processes
from celery_process.monitor.secrets import Fact, Reader
from celery_process.stores.memory import MemoryStore

pytest.importorskip("flower.urls", reason="Flower is not installed.")

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application

from celery_process.contrib.flower import handlers
from celery_process.contrib.flower.access import is_own_host
from celery_process.contrib.flower.hook import ROUTES

BASIC = {"Authorization": "Basic YW5uOnB3"}
PAGE = {"X-Celery-Process": "page"}
EVIL = {"Origin": "https://evil.example"}


class Served:
    """The routes of the pages, on a server of the test, over a process with a secret in every fact."""

    def __init__(self, planting: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        app = Celery("watched", broker="memory://", set_as_current=False)
        app.conf.task_always_eager = True
        self.processes = Processes(app, backend=MemoryStore())
        self.process = self.processes.process("one", schedule=60, settings=planting.SETTINGS)(planting.handler)
        planting.plant(self.process)
        self.app, self.monkeypatch = app, monkeypatch

    def ask(
        self, path: str, *, login: bool = False, api: bool = False, method: str = "GET", form: bytes = b"", **headers: str
    ) -> Any:
        """Ask Flower for a path; with a `login` it has one, with `api` its API is open."""
        self.monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", str(api).lower())
        basic = ["ann:pw"] if login else []
        options = SimpleNamespace(basic_auth=basic, auth="", address="", url_prefix="", read_only=False, debug=False)
        routes = [(path, getattr(handlers, name.rpartition(".")[2])) for path, name in ROUTES if "assets" not in path]

        async def asked() -> Any:
            served = Application(routes)
            served.options, served.capp = options, self.app
            socket, port = bind_unused_port()
            server = HTTPServer(served)
            server.add_sockets([socket])
            body = form if method == "POST" else None
            request = HTTPRequest(f"http://127.0.0.1:{port}{path}", method, headers, body, allow_nonstandard_methods=True)
            answer = await AsyncHTTPClient(force_instance=True).fetch(request, raise_error=False)
            server.stop()
            return answer

        return asyncio.run(asked())


@pytest.fixture
def served(planting: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Served:
    return Served(planting, monkeypatch)


JSON = ("/processes?json=1", "/processes/one?json=1")


@pytest.mark.parametrize("fact", Fact)
class TestEachCell:
    def test_of_the_pages(self, served: Served, planting: ModuleType, fact: Fact) -> None:
        """What the script of the pages reads is masked as the table says."""
        shown = "".join(served.ask(path, **PAGE).body.decode() for path in JSON)
        assert planting.is_as_told(shown, Reader.FLOWER_PAGE, fact)

    def test_of_the_api(self, served: Served, planting: ModuleType, fact: Fact) -> None:
        """So is what the API answers to who has logged in."""
        paths = ("/api/processes", "/api/processes/one")
        shown = "".join(served.ask(path, login=True, **BASIC).body.decode() for path in paths)
        assert planting.is_as_told(shown, Reader.FLOWER_API, fact)


class TestWithoutALogin:
    @pytest.mark.parametrize("path", JSON)
    def test_json_is_for_the_page_s_own_script(self, served: Served, path: str) -> None:
        """Others get what the API answers them: nothing, unless it is open to all."""
        assert served.ask(path).code == 401
        assert "one" not in served.ask(path).body.decode().partition("Flower")[0]
        assert served.ask(path, **PAGE).code == 200
        assert served.ask(path, api=True).code == 200
        assert served.ask(path, login=True).code == 401
        assert served.ask(path, login=True, **BASIC).code == 200

    @pytest.mark.parametrize("api", [False, True])
    @pytest.mark.parametrize("path", [*JSON, "/api/processes", "/api/processes/one", "/processes/health"])
    def test_another_site_reads_nothing(self, served: Served, path: str, api: bool) -> None:
        """Whatever its page sends is refused, and no answer of ours allows it to read, nor to send our header."""
        for headers in (EVIL, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
            answer = served.ask(path, api=api, **PAGE, **headers)
            assert answer.code == 403
            assert not [name for name in answer.headers if name.startswith("Access-Control")]
        assert not [name for name in served.ask(path, api=api, **PAGE).headers if name.startswith("Access-Control")]
        asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-celery-process"}
        for method in ("OPTIONS", "GET"):
            answer = served.ask(path, api=api, method=method, **EVIL, **asked)
            assert not [name for name in answer.headers if name.startswith("Access-Control")]

    @pytest.mark.parametrize("path", [*JSON, "/api/processes/one", "/processes/health"])
    def test_a_name_that_was_made_to_lead_here_is_refused(self, served: Served, path: str) -> None:
        """A domain of somebody else's is; the configured ones are not; with a login, a browser has none for that name."""
        answer = served.ask(path, api=True, **PAGE, Host="rebound.example:5555")
        assert answer.code == 403
        assert b"S3CRET" not in answer.body
        assert served.ask(path, login=True, **BASIC, Host="rebound.example").code != 403
        served.app.conf.process_flower_hosts = ["rebound.example"]
        assert served.ask(path, api=True, **PAGE, Host="rebound.example:5555").code != 403

    def test_actions_are_refused_to_both(self, served: Served) -> None:
        """An action that another site or a foreign name asks for is not done, though the API is open to all."""
        path = "/api/processes/one/resume"
        assert served.ask(path, api=True, method="POST", **EVIL).code == 403
        assert served.ask(path, api=True, method="POST", Host="rebound.example").code == 403
        assert served.ask(path, login=True, method="POST", **BASIC, **EVIL).code == 403
        assert served.process.state().paused is not None
        assert served.ask(path, api=True, method="POST").code == 200
        assert served.process.state().paused is None


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost:5555", True),
        ("app.localhost", True),
        ("127.0.0.1:5555", True),
        ("10.1.2.3", True),
        ("[::1]:5555", True),
        ("flower:5555", True),
        ("bound.example", True),
        ("BOUND.example.:80", True),
        ("told.example", True),
        ("a.below.example", True),
        ("below.example", True),
        ("evil.example", False),
        ("evilbelow.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("[", False),
    ],
)
def test_names_of_this_server(host: str, own: bool) -> None:
    """Addresses and names that nobody can register, what Flower is bound to, and what is configured."""
    assert is_own_host(host, "bound.example", ("told.example", ".below.example")) is own
    assert is_own_host(host, "", ("*",)) is (host != "[")


def test_a_name_in_a_url_forges_no_line_of_the_log(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """A line break in the path of an action, or in the login, is in no message of the log as it is."""
    caplog.set_level(logging.INFO)
    answer = served.ask("/api/processes/x%0aFORGED%1b[31m/run", api=True, method="POST")
    assert answer.code == 404
    forger = {"Authorization": "Basic YQpGT1JHRUQ6cHc="}  # "a\nFORGED:pw"
    served.ask("/api/processes/one/resume", login=True, method="POST", **forger)
    served.process.pause("x", by="a\nFORGED")
    served.ask("/api/processes/one/run", api=True, method="POST")
    for record in caplog.records:
        assert "\nFORGED" not in record.getMessage()
        assert "\x1b" not in record.getMessage()
