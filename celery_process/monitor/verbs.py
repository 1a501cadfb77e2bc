"""What people do to a process, its runs and its items: an entry is a command, a button of the admin, an action of Flower.

Each has one name, one set of words and one permission. A view asks `offered` which of them make sense now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from celery_process.engine.removed import RemovedProcess
from celery_process.exceptions import InvalidValue
from celery_process.process import Process
from celery_process.protocol.model import RunStatus
from celery_process.protocol.states import WorkList
from celery_process.text.sentences import Sentence
from celery_process.text.sentences import marked as _


class Target(StrEnum):
    """What a verb acts on; a page has the verb's button beside it."""

    PROCESS = "a process"
    RUN = "a run"
    ITEMS = "chosen items"


class Takes(StrEnum):
    """What a verb takes beside the process; each view asks for it in its own way."""

    SLOT = "slot"
    NOTE = "note"
    RUN = "run"
    WORKS = "works"
    PARAMS = "params"


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for a verb, and the arguments that it takes."""

    by: str
    slot: datetime | None = None
    note: str = ""
    run: str = ""
    works: Sequence[str] = ()
    params: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Done:
    """What was done, and the run that it began or stopped."""

    text: Sentence
    run: RunStatus | None = None


@dataclass(frozen=True, slots=True)
class Verb:
    """An action of people. `label` is the text of its button; `question` explains it in its help and its confirmation.

    `noun`: the noun whose "change" permission it needs, where Django knows the user. `act` returns None where there was
    nothing to do; `nothing` is the text for that. `destroys`: it cannot be undone. `offered`: whether it makes sense for an
    `Overview`, a `RunStatus` or a `WorkInfo`; None means several items. `removed`: it also works on a process that is not
    in the code.
    """

    name: str
    label: str
    question: str
    noun: str
    act: Callable[[Any, Request], Done | None]
    takes: frozenset[Takes] = frozenset()
    target: Target = Target.PROCESS
    nothing: str = ""
    destroys: bool = False
    offered: Callable[[Any], bool] = lambda _: True
    removed: bool = False

    @property
    def asks(self) -> bool:
        """Whether a page asks before it acts: where the verb destroys, or takes words."""
        return self.destroys or Takes.NOTE in self.takes

    def as_json(self) -> dict[str, Any]:
        """Return what a page's script needs to offer the verb."""
        named = {name: getattr(self, name) for name in ("name", "label", "question", "destroys")}
        return {**named, "takes": sorted(self.takes), "target": self.target.name.lower()}


def _run(process: Process, request: Request) -> Done:
    run = process.run_now(slot=request.slot, by=request.by)
    return Done(Sentence(_("Started run %(run)s"), {"run": run.id}), run)


def _pause(process: Process, request: Request) -> Done:
    process.pause(request.note, by=request.by)
    if not request.note:
        return Done(Sentence(_("Paused")))
    return Done(Sentence(_("Paused: %(note)s"), {"note": request.note}))


def _resume(process: Process, request: Request) -> Done:  # noqa: ARG001 - a verb's signature
    process.resume()
    return Done(Sentence(_("Resumed")))


def _cancel(process: Process | RemovedProcess, request: Request) -> Done | None:  # noqa: ARG001 - a verb's signature
    run = process.cancel_run()
    if run is None:
        return None
    facts = {"run": run.id, "claimed": run.counts.claimed}
    if isinstance(process, RemovedProcess) and run.state.is_open:
        text = _(
            "Cancelled run %(run)s; %(claimed)s items are claimed: unless a worker ends them, repeat this after their lease"
        )
        return Done(Sentence(text, facts), run)
    return Done(Sentence(_("Cancelled run %(run)s"), facts), run)


def _redrive(process: Process, request: Request) -> Done:
    again = process.redrive(request.run, by=request.by)
    return Done(Sentence(_("Redrove run %(run)s as %(again)s"), {"run": request.run, "again": again.id}), again)


def _register(process: Process, request: Request) -> Done | None:
    changed = process.register_works(dict.fromkeys(request.works, request.params))
    return registered(changed, request.works)


def _unregister(process: Process, request: Request) -> Done | None:
    if not request.works:
        raise InvalidValue("No work item was chosen; tick some first.", argument="works", value=())
    changed = process.unregister_works(request.works)
    return _done(_("Unregistered %(count)s of %(all)s: %(names)s"), changed, request.works)


def registered(changed: Sequence[str], works: Sequence[str]) -> Done | None:
    """Return what registering `works` did; None where it changed no item."""
    return _done(_("Registered %(count)s of %(all)s: %(names)s"), changed, works)


def _done(text: str, changed: Sequence[str], works: Sequence[str]) -> Done | None:
    names = ", ".join(changed[:20]) + (", …" if len(changed) > 20 else "")
    return Done(Sentence(text, {"count": len(changed), "all": len(set(works)), "names": names})) if changed else None


def _is_open(run: Any) -> bool:
    return bool(run.is_open)


VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "run",
            _("Run now"),
            _("The present slot runs, or runs again; the workers do it."),
            "run",
            _run,
            takes=frozenset({Takes.SLOT}),
            offered=lambda overview: not overview.is_open and overview.paused is None,
        ),
        Verb(
            "pause",
            _("Pause"),
            _("No slot, page or claim begins until it is resumed; items in flight finish."),
            "process",
            _pause,
            takes=frozenset({Takes.NOTE}),
            offered=lambda overview: overview.paused is None,
        ),
        Verb(
            "resume",
            _("Resume"),
            _("Slots run again, and an open run goes on."),
            "process",
            _resume,
            offered=lambda overview: overview.paused is not None,
        ),
        Verb(
            "cancel",
            _("Cancel the run"),
            _("It ends INCOMPLETE once the items in flight have ended; what has not begun does not begin."),
            "run",
            _cancel,
            nothing=_("No run is open; there was nothing to cancel."),
            destroys=True,
            offered=_is_open,
            removed=True,
        ),
        Verb(
            "redrive",
            _("Redrive"),
            _("The items of this run that did not complete run again; the run has to be closed."),
            "run",
            _redrive,
            takes=frozenset({Takes.RUN}),
            target=Target.RUN,
            offered=lambda run: not run.state.is_open and run.counts.completed < run.counts.enlisted,
        ),
        Verb(
            "register",
            _("Register"),
            _("They go to the active list, with these params of their own."),
            "work",
            _register,
            takes=frozenset({Takes.WORKS, Takes.PARAMS}),
            target=Target.ITEMS,
            nothing=_("They are registered with these params already; nothing was done."),
        ),
        Verb(
            "unregister",
            _("Unregister"),
            _("They go to the cleanup list; the next run cleans up what belongs to them, then drops them."),
            "work",
            _unregister,
            takes=frozenset({Takes.WORKS}),
            target=Target.ITEMS,
            nothing=_("They are on the cleanup list or dropped already; nothing was done."),
            destroys=True,
            offered=lambda item: item is None or item.on is WorkList.ACTIVE,
        ),
    )
}


def offered(target: Target, row: Any) -> list[Verb]:
    """Return the verbs of a target that make sense for a row, by `Verb.offered`."""
    return [verb for verb in VERBS.values() if verb.target is target and verb.offered(row)]
