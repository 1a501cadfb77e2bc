"""What is logged of a broker that does not take a message: a line, whatever class its client has for it."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery
from kombu.exceptions import OperationalError

from celery_process import Process, Processes
from celery_process.exceptions import SchemaMismatch, StoreUnavailable
from celery_process.protocol.states import Event
from celery_process.stores.memory import MemoryStore
from celery_process.tasks.factory import TRIES
from celery_process.tasks.transport import reaching_broker
from celery_process.text.outages import log_failure

NOBODY = "redis://127.0.0.1:1/0"


def make(broker: str = NOBODY, store: MemoryStore | None = None) -> tuple[Celery, Process]:
    app = Celery("outages", set_as_current=False, broker=broker)
    app.conf.broker_transport_options = {"max_retries": 0}
    app.conf.task_publish_retry = False
    process = Processes(app, backend=store or MemoryStore()).process("p", schedule=60)(lambda work: None)
    process.register_works(dict.fromkeys("abcd"))
    app.finalize()
    return app, process


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name.startswith("celery_process")]


@pytest.mark.parametrize("broker", [NOBODY, "amqp://127.0.0.1:1//"])
def test_a_page_that_the_broker_does_not_take_is_a_line(broker: str, caplog: pytest.LogCaptureFixture) -> None:
    """One WARNING with what the client says, no traceback; the items stay, for the sweep."""
    _, process = make(broker)
    process.run_now()
    (line,) = [record for record in lines(caplog) if getattr(record, "action", "") == "publish_failed"]
    assert (line.levelname, line.exc_info) == ("WARNING", None)
    assert "4 items of p could not be published; the sweep will: " in line.getMessage()
    assert "refused" in line.getMessage()
    assert not [record.getMessage() for record in lines(caplog) if record.exc_info]


def test_an_error_that_is_not_the_transport_s_has_its_traceback(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug on the way to the broker is news."""
    _, process = make("memory://")
    monkeypatch.setattr("celery_process.tasks.publish.searchable_kwargs", lambda kwargs: kwargs["nothing"])
    process.run_now()
    (line,) = [record for record in lines(caplog) if getattr(record, "action", "") == "publish_failed"]
    assert line.levelname == "ERROR"
    assert line.exc_info is not None
    assert line.exc_info[0] is KeyError


class Away(MemoryStore):
    """A memory store that does not answer, once it is told to."""

    away: Exception | None = None

    def now(self):
        if self.away is not None:
            raise self.away
        return super().now()

    def open_page(self, *given, **named):
        if self.away is not None:
            raise self.away
        return super().open_page(*given, **named)

    def claim(self, *given, **named):
        if self.away is not None:
            raise self.away
        return super().claim(*given, **named)


def _trigger(app: Celery, run: str) -> None:
    app.tasks["p.schedule"].run()


def _comeback(app: Celery, run: str) -> None:
    app.tasks["p.schedule"].run(run=run, token="t")


def _items(app: Celery, run: str) -> None:
    app.tasks["p.work"].run(process="p", run=run, works=["a"])


@pytest.mark.parametrize("call", [_trigger, _comeback, _items])
@pytest.mark.parametrize("error", [StoreUnavailable("It is away; wait.", operation="claim"), SchemaMismatch("No tables.")])
def test_both_away_is_a_line(
    call: Callable[[Celery, str], None], error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """A task that meets a store and a broker out of reach ends with an expected error, which has no second one as context."""
    store = Away()
    app, process = make(store=store)
    process.run_now()
    run = process.state().run.id
    caplog.clear()
    store.away = error
    task = app.tasks["p.work"]
    for name in ("p.work", "p.schedule"):
        app.tasks[name].push_request(headers={TRIES: 1}, is_eager=False, hostname="w")
    try:
        with pytest.raises(Exception) as raised:
            call(app, run)
    finally:
        for name in ("p.work", "p.schedule"):
            app.tasks[name].pop_request()
    assert type(raised.value).__name__ == "Ignore" or isinstance(raised.value, task.throws)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None or raised.value.__suppress_context__
    found = lines(caplog)
    assert found
    assert not [record.getMessage() for record in found if record.exc_info]


@pytest.mark.parametrize("call", ["come_back", "publish_trigger", "emit"])
def test_what_else_is_sent_is_a_line(call: str, caplog: pytest.LogCaptureFixture) -> None:
    """The next page, a late slot, an event: one WARNING each, with what the client says."""
    _, process = make()
    port = process.dispatch.port
    if call == "come_back":
        port.come_back("r", "t", timedelta(seconds=1))
    elif call == "publish_trigger":
        port.publish_trigger(timedelta(seconds=5))
    else:
        port.emit(Event.WORK_LOST, work="a", run_id="r")
    deadline = time.monotonic() + 30
    while not lines(caplog) and time.monotonic() < deadline:  # some are sent in a thread
        time.sleep(0.01)
    (line,) = lines(caplog)
    assert (line.levelname, line.exc_info) == ("WARNING", None)
    assert "refused" in line.getMessage()


class ClientError(Exception):
    """An error that a transport knows, and that is no `OSError`."""


@pytest.mark.parametrize(
    ("raised", "cause", "outage"),
    [
        (OperationalError("o"), None, True),
        (socket.gaierror("no such host"), None, True),
        (ClientError("c"), None, True),
        (RuntimeError("the batch failed"), ClientError("c"), True),
        (RuntimeError("r"), None, False),
        (RuntimeError("r"), KeyError("k"), False),
    ],
)
def test_what_the_transport_raises_is_one_kind(
    raised: Exception, cause: Exception | None, outage: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own classes, kombu's, and what a batch of kombu's has as its cause; anything else stays what it is."""
    app, _ = make("memory://")
    monkeypatch.setattr("kombu.transport.memory.Transport.connection_errors", (ClientError,))

    def fails() -> Any:
        raise raised from cause

    with pytest.raises(OSError if outage else RuntimeError), reaching_broker(app):
        fails()


def test_what_is_logged_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    """A client's text may have the broker's URL in it."""
    log_failure(logging.getLogger("celery_process"), "No", error=OSError("amqp://me:hush@there"), extra={})
    assert "hush" not in caplog.text
