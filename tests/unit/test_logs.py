"""The log: whatever people wrote, no line of it is theirs, and nothing of it acts on a terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

import celery_process
from celery_process import Processes, Work
from celery_process.engine.runner import Ended
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


def test_no_module_has_another_logger() -> None:
    """Each logger comes from `logs`; the simulation alone silences that of the whole library."""
    root = Path(celery_process.__file__).parent
    users = {str(path.relative_to(root)) for path in root.rglob("*.py") if "getLogger(" in path.read_text()}
    assert users == {"text/logs.py", "testing/simulation/__init__.py"}


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


def test_an_error_whose_text_raises(lines: Lines) -> None:
    """A record is made of any error, as one whose __str__ raises."""

    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    logging.getLogger("celery_process.tasks.events").warning("%s", Broken())
    assert "Broken (its text could not be made: RuntimeError)" in lines.text


def test_work_failed_shows_no_secret_and_no_line() -> None:
    """The text of a failed task, which events, result backend and Flower show, is masked, and on one line."""
    failed = Ended(FORGED, WorkState.INCOMPLETE, None, 1, "no answer of postgresql://ann:hunter2@db/x?password=hunter3")
    with pytest.raises(WorkFailed) as raised:
        outcome_of("p", [failed], look=lambda name: f"work {name!r}")
    assert "********" in str(raised.value)
    assert "hunter" not in str(raised.value)
    assert str(raised.value).isprintable()
