"""What people do to a process from its page: each verb with the permission that it needs and what it asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from celery_process.contrib.django.admin.items import named
from celery_process.exceptions import InvalidValue
from celery_process.process import Process


@dataclass(frozen=True, slots=True)
class Given:
    """What came with the verb: who, and what of it the verb takes."""

    by: str
    note: str = ""
    run: str = ""
    works: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb. `noun`: the model whose "change" it needs; `asks`: it is confirmed on a page of its own, always.

    `act` does it and returns what was done, for the message and the log; an empty text: there was nothing to do.
    """

    label: str
    noun: str
    question: str
    act: Callable[[Process, Given], str]
    nothing: str = ""
    asks: bool = False


def _run(process: Process, given: Given) -> str:
    return f"Started run {process.run_now(by=given.by).id}"


def _pause(process: Process, given: Given) -> str:
    process.pause(given.note, by=given.by)
    return f"Paused: {given.note}" if given.note else "Paused"


def _resume(process: Process, _: Given) -> str:
    process.resume()
    return "Resumed"


def _cancel(process: Process, _: Given) -> str:
    stopped = process.cancel_run()
    return "" if stopped is None else f"Cancelled run {stopped.id}"


def _redrive(process: Process, given: Given) -> str:
    return f"Redrove run {given.run} as {process.redrive(given.run, by=given.by).id}"


def _unregister(process: Process, given: Given) -> str:
    if not given.works:
        raise InvalidValue("No work item was chosen; tick some first.", argument="works", value=())
    changed = process.unregister_works(given.works)
    return f"Unregistered {named(changed)}" if changed else ""


VERBS = {
    "run": Verb("Run now", "run", "The present slot runs, or runs again.", _run),
    "pause": Verb(
        "Pause", "process", "No slot, page or claim begins until it is resumed; items in flight finish.", _pause, asks=True
    ),
    "resume": Verb("Resume", "process", "Slots run again, and an open run goes on.", _resume),
    "cancel": Verb(
        "Cancel the run",
        "run",
        "It ends INCOMPLETE once the items in flight have ended; what has not begun does not begin.",
        _cancel,
        nothing="No run is open; there was nothing to cancel.",
        asks=True,
    ),
    "redrive": Verb("Redrive", "run", "The items of this run that did not complete run again.", _redrive),
    "unregister": Verb(
        "Unregister",
        "work",
        "They go to the cleanup list; the next run cleans up what belongs to them, then drops them.",
        _unregister,
        nothing="They are on the cleanup list or dropped already; nothing was done.",
        asks=True,
    ),
}
