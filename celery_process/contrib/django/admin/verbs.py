"""What people do to a process from its page: each verb with the permission that it needs and what it asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from celery_process.contrib.django.admin.items import named
from celery_process.exceptions import InvalidValue
from celery_process.process import Process
from celery_process.text.sentences import Sentence


@dataclass(frozen=True, slots=True)
class Given:
    """What came with the verb: who, and what of it the verb takes."""

    by: str
    note: str = ""
    run: str = ""
    works: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb. `noun`: what its "change" permission is of; `asks`: it is confirmed on a page of its own, always.

    `act` does it and returns what was done, for the message and the log; None: there was nothing to do.
    """

    label: Promise
    noun: str
    question: Promise
    act: Callable[[Process, Given], Sentence | None]
    nothing: Promise | str = ""
    asks: bool = False


def _run(process: Process, given: Given) -> Sentence | None:
    return Sentence(gettext_noop("Started run %(run)s"), {"run": process.run_now(by=given.by).id})


def _pause(process: Process, given: Given) -> Sentence | None:
    process.pause(given.note, by=given.by)
    return (
        Sentence(gettext_noop("Paused: %(note)s"), {"note": given.note}) if given.note else Sentence(gettext_noop("Paused"))
    )


def _resume(process: Process, _: Given) -> Sentence | None:
    process.resume()
    return Sentence(gettext_noop("Resumed"))


def _cancel(process: Process, _: Given) -> Sentence | None:
    stopped = process.cancel_run()
    return None if stopped is None else Sentence(gettext_noop("Cancelled run %(run)s"), {"run": stopped.id})


def _redrive(process: Process, given: Given) -> Sentence | None:
    again = process.redrive(given.run, by=given.by)
    return Sentence(gettext_noop("Redrove run %(run)s as %(again)s"), {"run": given.run, "again": again.id})


def _unregister(process: Process, given: Given) -> Sentence | None:
    if not given.works:
        raise InvalidValue("No work item was chosen; tick some first.", argument="works", value=())
    changed = process.unregister_works(given.works)
    if not changed:
        return None
    one, several = (
        gettext_noop("Unregistered %(count)s item: %(names)s"),
        gettext_noop("Unregistered %(count)s items: %(names)s"),
    )
    return named(changed, one, several)


VERBS = {
    "run": Verb(_("Run now"), "run", _("The present slot runs, or runs again."), _run),
    "pause": Verb(
        _("Pause"),
        "process",
        _("No slot, page or claim begins until it is resumed; items in flight finish."),
        _pause,
        asks=True,
    ),
    "resume": Verb(_("Resume"), "process", _("Slots run again, and an open run goes on."), _resume),
    "cancel": Verb(
        _("Cancel the run"),
        "run",
        _("It ends INCOMPLETE once the items in flight have ended; what has not begun does not begin."),
        _cancel,
        nothing=_("No run is open; there was nothing to cancel."),
        asks=True,
    ),
    "redrive": Verb(_("Redrive"), "run", _("The items of this run that did not complete run again."), _redrive),
    "unregister": Verb(
        _("Unregister"),
        "work",
        _("They go to the cleanup list; the next run cleans up what belongs to them, then drops them."),
        _unregister,
        nothing=_("They are on the cleanup list or dropped already; nothing was done."),
        asks=True,
    ),
}
