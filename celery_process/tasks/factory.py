"""The Celery tasks of a process. `publish` publishes them, `sweep_timer` has the sweep of the app.

A task ends as the store answered for its items; see `outcomes`.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial, wraps
from typing import Any

from celery import Celery, Task
from celery.exceptions import Ignore

from celery_process.definition.options import Definition
from celery_process.exceptions import (
    CorruptData,
    IllegalTransition,
    InvalidValue,
    RefusedValue,
    StoreError,
    WorkFailed,
    short_repr,
)
from celery_process.process import Process
from celery_process.protocol.states import By, ClaimAnswer
from celery_process.tasks.outcomes import outcome_of, searchable_kwargs
from celery_process.tasks.publish import LATE_SLOT, PUBLISH_OPTIONS, SCHEMA, CeleryPort, publish_later
from celery_process.tasks.registry import OWN_TASK
from celery_process.tasks.transport import reaching_broker
from celery_process.text.commands import command
from celery_process.text.logs import log_fields, logger_of
from celery_process.text.outages import log_failure

logger = logger_of(__name__)

TRIES = "cp_tries"
"""The header that counts how often the store could not serve a message."""
MAX_TRIES, LONGEST_WAIT = 8, 30
"""How often such a message is retried at most, and the longest wait: 2, 4, 8, … up to these seconds."""
BEFORE_WORK = ("check", "claim")
"""Operations that come before any work on a message; `check` is the first one of each pool child."""
PERMANENT = (CorruptData, IllegalTransition, RefusedValue)
"""Errors that a retry would meet again. Missing tables or rights are not among them: a deployment may add them meanwhile."""
EXPECTED = (WorkFailed, StoreError)
"""What a task may raise and Celery logs as one line without a traceback: the library has logged it already."""
SENT_AT = "cp_sent_at"
"""The header of a trigger with the time at which beat sent it, in seconds since 1970 by beat's clock."""


def task_names(process: str) -> dict[str, str]:
    """Return the names of a process's tasks by what they do."""
    return {kind: f"{process}.{kind}" for kind in ("schedule", "work", "cleanup")}


def make_tasks(app: Celery, port: CeleryPort) -> dict[str, Task]:
    """Register the three tasks of the port's process and return them by kind."""
    definition = port.process.definition
    names = task_names(definition.name)
    options = {key: value for key, value in definition.task_options.items() if key not in PUBLISH_OPTIONS}
    # Celery shares the tasks of one app with all others by default; these belong to the registry of this app.
    common = {
        "bind": True,
        "ignore_result": True,
        "trail": False,
        "serializer": "json",
        "shared": False,
        **options,
        OWN_TASK: True,
        # Whatever class the project has for its tasks: Celery retries no item, and the store decides whether a message
        # is published, not a lock, which stays behind when a worker is killed.
        "autoretry_for": (),
        "apply_async": Task.apply_async,
    }
    common["throws"] = (*EXPECTED, *_classes(options.get("throws")))
    # A spawned pool child imports the modules of its tasks: that must be the module that defines the process, not this one.
    common["__module__"] = getattr(definition.handler, "__module__", None) or __name__
    # These two options are for the tasks of items: monitors still see the scheduling task, and it has no rate.
    of_schedule = {key: value for key, value in common.items() if key not in ("send_events", "rate_limit")}

    @app.task(name=names["schedule"], **of_schedule)
    @_refusing(definition)
    def schedule(self: Task, *, comeback: bool = False, run: object = None, token: object = "") -> str:
        headers = self.request.headers or {}
        if not (run is None or isinstance(run, str)) or not isinstance(token, str):
            return _refuse(self, definition)
        if run is not None:
            return _advance(self, port.process, run, token)
        defer = None if comeback else partial(_defer, self, definition)
        by = By.SWEEP if headers.get(LATE_SLOT) else By.BEAT if headers.get("celery_beat_task") else By.TASK
        try:
            claim = port.process.dispatch.trigger(by=by, sent_at=_sent_at(headers), defer=defer)
        except StoreError as error:
            raise _logged(self, definition, error) from None
        return f"{claim.answer.value} {claim.run_id}".rstrip()

    @_refusing(definition)
    def run_message(self: Task, *, process: str, run: str, work: str | None = None, works: list[str] | None = None) -> str:
        try:
            return _run(self, port, process=process, run=run, works=works if work is None else [work])
        except StoreError as error:
            # Before a claim nothing has begun, so the message is retried; later the items come back when their leases end.
            if error.facts.get("operation") not in BEFORE_WORK:
                raise _logged(self, definition, error, run) from None
            names = {"works": works} if work is None else {"work": work}
            _give_back(self, definition, error, process=process, run=run, **names)
        _announce_revoked(self, definition.name)
        raise Ignore("given back")

    # Two names for one body: the claim has the list; the names are for people and routes.
    of_items = {kind: app.task(name=names[kind], **common)(run_message) for kind in ("work", "cleanup")}

    def set_up(**_: Any) -> None:
        for kind in names:
            # `task_annotations` for all tasks were applied when these were bound.
            app.tasks[names[kind]].serializer = common["serializer"]
        for kind in of_items:
            _limit_batches(app.tasks[names[kind]], definition)

    if app.finalized:
        set_up()
    else:  # only then are the project's own limits known
        app.on_after_finalize.connect(set_up, weak=False)
    return {"schedule": schedule, **of_items}


def _classes(classes: Any) -> tuple[Any, ...]:
    return tuple(classes) if isinstance(classes, list | tuple) else (classes,) if classes else ()


def _limit_batches(task: Task, definition: Definition) -> None:
    """Multiply the limits of one item, soft and hard, by the items of a message, whoever set them."""
    conf, most = task.app.conf, definition.most_items
    own = definition.time_limit.total_seconds() if definition.time_limit is not None else None
    # On prefork the hard limit ends a handler that hangs; on other pools the heartbeat lets its lease run out.
    hard = definition.task_options.get("time_limit") or own or conf.task_time_limit
    soft = definition.task_options.get("soft_time_limit") or conf.task_soft_time_limit
    task.time_limit = hard and hard * most
    task.soft_time_limit = soft and soft * most


def _advance(task: Task, process: Process, run: str, token: str) -> str:
    try:
        process.dispatch.advance(run, token)
    except StoreError as error:
        _give_back(task, process.definition, error, run=run, token=token)
        raise Ignore("given back") from None
    return f"advanced {run}"


def _defer(task: Task, definition: Definition, due_in: timedelta) -> None:
    """Publish a trigger once more, later; if that fails, beat and the sweep still look for its slot."""
    headers = task.request.headers or {}
    sent = {"headers": {SENT_AT: headers[SENT_AT]}} if SENT_AT in headers else {}
    try:
        publish_later(task, definition, due_in, sent, comeback=True)
    except Exception as error:  # noqa: BLE001 - logged
        extra = log_fields("trigger_undeferred", process_name=definition.name)
        log_failure(logger, "The trigger of %s could not be published again", definition.name, error=error, extra=extra)


def _logged(task: Task, definition: Definition, error: StoreError, run: str = "") -> StoreError:
    """Log an error that ends a task, and return it: Celery itself logs an expected error at INFO only."""
    extra = log_fields("task_failed", process_name=definition.name, run_id=run)
    log_failure(logger, "A task %s ends early", task.name, error=error, extra=extra)
    return error


def _give_back(task: Task, definition: Definition, error: StoreError, **kwargs: Any) -> None:
    """Retry a message that the store could not serve, by publishing it again; after `MAX_TRIES` the sweep takes over.

    An error that a retry would meet again is raised, and so is any error of an eager call.
    """
    if task.request.is_eager or isinstance(error, PERMANENT):
        raise _logged(task, definition, error, str(kwargs["run"])) from None
    headers = task.request.headers or {}
    before = headers.get(TRIES, 0)
    tries = max(before, 0) + 1 if isinstance(before, int) else MAX_TRIES  # a message from elsewhere may have anything
    extra = log_fields("message_given_back", process_name=definition.name, run_id=str(kwargs.get("run", "")))
    if tries > MAX_TRIES:
        log_failure(
            logger,
            "A message to %s failed in its last retry; the sweep publishes its items",
            task.name,
            error=error,
            extra=extra,
        )
        return
    due_in = timedelta(seconds=min(LONGEST_WAIT, 2**tries))
    more = {"headers": {"cp_schema": SCHEMA, TRIES: tries}, "kwargsrepr": searchable_kwargs(kwargs)}
    more.update(root_id=task.request.root_id, parent_id=task.request.parent_id)
    try:
        publish_later(task, definition, due_in, more, **kwargs)
    except Exception as unsent:  # noqa: BLE001 - logged, and the sweep sends them
        text = (
            "A message to %s met an error of the store (%s) and could not be published again; the sweep publishes its items"
        )
        log_failure(logger, text, task.name, error, error=unsent, extra=extra)
    else:
        log_failure(logger, "A message to %s is retried in %s", task.name, due_in, error=error, extra=extra)


def stamp(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Add the time to a trigger that beat sends; a receiver of `before_task_publish`."""
    if headers is not None:
        headers.setdefault(SENT_AT, time.time())


def _sent_at(headers: Mapping[str, Any]) -> datetime | None:
    seconds = headers.get(SENT_AT)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # a message from elsewhere may have any number
        return None


def check_base(base: Any) -> None:
    """Refuse a class for the tasks of a process whose `apply_async` decides which messages are published."""
    if base is not None and getattr(base, "apply_async", None) is not Task.apply_async:
        raise InvalidValue(
            f"task_options: base is {short_repr(base)}, whose apply_async would decide whether an item is published; "
            "give a class that leaves apply_async to Celery. A process needs no lock: one run a slot and one worker an item "
            "is its own.",
            argument="task_options",
            value=base,
        )


def _refusing(definition: Definition) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """Let the body of a task refuse a message of a newer version, or one with other arguments than it has.

    Its signature stays that of the body: by it Celery checks the arguments of who calls the task.
    """

    def decorate(body: Callable[..., str]) -> Callable[..., str]:
        signature = inspect.signature(body)

        @wraps(body)
        def checked(self: Task, /, *args: Any, **kwargs: Any) -> str:
            schema = _schema(self)
            try:
                signature.bind(self, *args, **kwargs)
            except TypeError:
                return _refuse(self, definition)
            if not isinstance(schema, int) or schema > SCHEMA:
                return _refuse(self, definition)
            return body(self, *args, **kwargs)

        checked.__signature__ = signature  # type: ignore[attr-defined]
        return checked

    return decorate


def _schema(task: Task) -> Any:
    return (task.request.headers or {}).get("cp_schema", SCHEMA)


def _refuse(task: Task, definition: Definition) -> str:
    extra, schema = log_fields("message_refused", process_name=definition.name), short_repr(_schema(task))
    logger.error("A message to %s is not one of this version (schema %s); dropped.", task.name, schema, extra=extra)
    return "refused"


def _run(task: Task, port: CeleryPort, *, process: object, run: object, works: object) -> str:
    name = port.process.name
    if not isinstance(works, list) or not works or not all(isinstance(item, str) for item in works):
        return _refuse(task, port.process.definition)
    if process != name or not isinstance(run, str):
        return _refuse(task, port.process.definition)
    ended = port.runner.run(run, works, task_id=str(task.request.id or ""))
    worked = [item for item in ended if item.answer is ClaimAnswer.CLAIMED]
    if worked or not ended:
        return outcome_of(name, worked, show_command=lambda item: command(task.app, "work", name, item))
    _announce_revoked(task, name)
    raise Ignore(ended[0].answer.value)


def _announce_revoked(task: Task, name: str) -> None:
    # Nothing was done here: neither a success nor a failure. Celery has an event for that, but no exception.
    if task.send_events and not task.app.conf.task_always_eager:
        try:
            with reaching_broker(task.app):
                task.send_event("task-revoked", terminated=False, signum=None, expired=False)
        except Exception as error:  # noqa: BLE001 - logged: a monitor that misses this event shows STARTED
            extra = log_fields("event_unsent", process_name=name)
            log_failure(logger, "task-revoked could not be sent", error=error, extra=extra)
