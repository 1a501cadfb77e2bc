"""The log: whatever people wrote, no line of it is theirs, and nothing of it acts on a terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from celery import Celery

from celery_process import Processes, Work
from celery_process.engine.runner import EndedItem
from celery_process.exceptions import WorkFailed
from celery_process.protocol.states import WorkState
from celery_process.stores.memory import MemoryStore
from celery_process.tasks.outcomes import outcome_of
from celery_process.text.logs import logger_of

FORGED = "ann\r\nREC INFO all is well\x1b[2J\u2028\u202e"
NAME = "ann\u2028REC INFO all is well\u202e"
"""What a name of an item may have of it."""
RECORD = "REC %(levelname)s %(by)s %(process_name)s %(work_name)s %(run_id)s %(message)s"


class Lines(logging.Handler):
    """Keeps the formatted text of records, as a file of the log would have it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(RECORD, defaults=dict.fromkeys(("by", "process_name", "work_name", "run_id"))))
        self.text = ""
        self.records = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.records += 1
        self.text += self.format(record) + "\n"

    def check(self) -> None:
        """Refuse a line that no record of the library began, and what acts on a terminal."""
        lines = self.text.removesuffix("\n").split("\n")
        assert self.records == sum(line.startswith("REC ") for line in lines) > 0
        assert all(line.startswith(("REC ", "  ")) for line in lines), self.text
        assert all(line.isprintable() for line in lines), self.text


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Give what the library logs, down to DEBUG."""
    logger, handler = logging.getLogger("celery_process"), Lines()
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_no_line_is_forged(lines: Lines) -> None:
    """Texts, errors, tracebacks and the facts beside them are escaped where the record is made."""
    logger = logger_of("celery_process.any.module")
    facts = dict.fromkeys(("by", "process_name", "work_name", "run_id"), FORGED)
    logger.warning("%s of %s by %s, %d %r", FORGED, OSError(FORGED), FORGED, 3, FORGED, extra=facts)
    try:
        raise ValueError(FORGED) from OSError(FORGED)
    except ValueError:
        logger.exception("It failed: %s", FORGED)
    lines.check()
    assert "3" in lines.text


def test_what_handlers_and_callers_write(lines: Lines) -> None:
    """Names of items, who ran them, and what handlers raise and record, make no line, through a whole run."""
    app = Celery("logs", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    processes = Processes(app, backend=MemoryStore())

    @processes.process("p", schedule=60)
    def handler(work: Work) -> None:
        work.add_error(FORGED)
        raise RuntimeError(FORGED)

    handler.register_works({f"{NAME}1": None, f"{NAME}2": None})
    handler.run_now(by=FORGED)
    lines.check()
    assert "RuntimeError: ann" in lines.text
    assert "all is well" in lines.text


def test_every_record_has_the_four_fields(caplog: pytest.LogCaptureFixture) -> None:
    """From a trigger over failed and removed items to the end of the run, each record carries them; None is no fact."""
    caplog.set_level(logging.DEBUG, "celery_process")
    app = Celery("logs", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    processes = Processes(app, backend=MemoryStore())

    def wait() -> bool:
        raise OSError

    @processes.process("p", schedule=60)
    def handler(work: Work) -> None:
        handler.unregister_work("c")
        if work.name == "b":
            raise RuntimeError

    handler.wait(wait)
    handler.register_works({"a": None, "b": None, "c": None})
    handler.dispatch.trigger(by="beat")
    run = handler.run_now()
    ours = [record for record in caplog.records if record.name.startswith("celery_process")]
    seen = {record.action: (record.process_name, record.work_name, record.run_id) for record in ours}  # type: ignore[attr-defined]
    assert seen == {
        "wait_failed": ("p", None, None),
        "slot_skipped": ("p", None, None),
        "slot_claimed": ("p", None, run.id),
        "claim_refused": ("p", "c", run.id),
        "item_failed": ("p", "b", run.id),
        "run_completed": ("p", None, run.id),
    }


def test_an_error_whose_text_raises(lines: Lines) -> None:
    """A record is made of any error, as one whose __str__ raises."""

    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    logging.getLogger("celery_process.tasks.events").warning("%s", Broken())
    assert "Broken (its text could not be made: RuntimeError)" in lines.text


def test_work_failed_shows_no_secret_and_no_line() -> None:
    """The text of a failed task, which events, result backend and Flower show, is masked, and on one line."""
    failed = EndedItem(FORGED, WorkState.INCOMPLETE, None, 1, "no answer of postgresql://ann:hunter2@db/x?password=hunter3")
    with pytest.raises(WorkFailed) as raised:
        outcome_of("p", [failed], show_command=lambda name: f"work {name!r}")
    assert "********" in str(raised.value)
    assert "hunter" not in str(raised.value)
    assert str(raised.value).isprintable()
