"""The Celery tasks of a process, and how they are published; the sweep of the app is in `sweep_task`.

Items are published with the keyword arguments `process=`, `work=` (or `works=`) and `run=`, which is what Flower can
search; no result, no trail, no shadow. How a task ends is what the store says of its items; see `outcomes`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from celery import Celery, Task
from celery.exceptions import Ignore

from celery_process.definition.options import Definition
from celery_process.engine.patience import ONCE_MORE
from celery_process.engine.runner import Ended
from celery_process.exceptions import CorruptData, InvalidValue, RefusedValue, StoreError, WorkFailed
from celery_process.protocol.model import RunClaim
from celery_process.protocol.states import By, ClaimAnswer, WorkList
from celery_process.tasks.background import background
from celery_process.tasks.outcomes import kwargs_shown, outcome_of
from celery_process.tasks.own import OWN
from celery_process.tasks.transport import reaching_broker
from celery_process.text.commands import command
from celery_process.text.logs import log_fields, logger_of
from celery_process.text.outages import log_failure

logger = logger_of(__name__)

SCHEMA = 1
"""Version of the message's keyword arguments, in the header `cp_schema`; a worker refuses a newer one."""
TRIES = "cp_tries"
"""The header that counts how often a message met a store that could not serve it."""
MOST_TRIES, LONGEST_WAIT = 8, 30
"""Such a message comes again after 2, 4, 8, … seconds, at most the second number, and so often at most."""
BEFORE_WORK = ("check", "claim")
"""Operations before which nothing of a message is begun; the first is what each pool child begins with."""
STAYS = (CorruptData, RefusedValue)
"""Errors that are no other at the next try. Tables that a deployment is about to bring, or rights, may be there then."""
EXPECTED = (WorkFailed, StoreError)
"""What a task may raise of which Celery logs a line, with no traceback: the library has said what there is to say."""
SENT_AT = "cp_sent_at"
"""The header of a trigger that says when beat sent it, in seconds since 1970 by beat's clock."""
LATE_SLOT = "cp_late_slot"
"""The header of a scheduling task that the sweep, or the end of a pause, brings a slot with."""
_PUBLISH_OPTIONS = ("queue", "exchange", "routing_key", "priority", "delivery_mode", "compression")
"""Options that belong to publishing: Celery 5.7 deprecates them as attributes of a task."""


RunItems = Callable[[str, list[str], str], list[Ended]]
"""Work on items of a run, by its id, their names, and the id of the task that has them."""


def task_names(process: str) -> dict[str, str]:
    """Return the names of a process's tasks by what they do."""
    return {kind: f"{process}.{kind}" for kind in ("schedule", "work", "cleanup")}


def make_tasks(
    app: Celery,
    definition: Definition,
    *,
    trigger: Callable[..., RunClaim],
    advance: Callable[[str, str], None],
    run_items: RunItems,
) -> dict[str, Task]:
    """Register the three tasks of a process and return them by kind."""
    names = task_names(definition.name)
    options = {key: value for key, value in definition.task_options.items() if key not in _PUBLISH_OPTIONS}
    # Celery shares the tasks of one app with all others unless told not to; these belong to the registry of this app.
    common = {
        "bind": True,
        "ignore_result": True,
        "trail": False,
        "serializer": "json",
        "shared": False,
        **options,
        OWN: True,
        # Whatever class the project has for its tasks: an item that raises is not retried by Celery, and whether a message
        # goes out is decided by the store, not by a lock, which a worker that is killed leaves behind.
        "autoretry_for": (),
        "apply_async": Task.apply_async,
    }
    common["throws"] = (*EXPECTED, *_classes(options.get("throws")))
    # A spawned pool child imports the modules of the tasks, to have them: that is where the process is defined, not here.
    common["__module__"] = getattr(definition.handler, "__module__", None) or __name__
    # Without the events of its items a process is still seen by its scheduling task, and their rate is not its own.
    of_schedule = {key: value for key, value in common.items() if key not in ("send_events", "rate_limit")}

    @app.task(name=names["schedule"], **of_schedule)
    def schedule(self: Task, *, comeback: bool = False, run: str | None = None, token: str = "") -> str:
        headers = self.request.headers or {}
        if run is not None:
            return _advance(self, definition, advance, str(run), str(token))
        defer = None if comeback else partial(_defer, self, definition)
        by = By.SWEEP if headers.get(LATE_SLOT) else By.BEAT if headers.get("celery_beat_task") else By.TASK
        try:
            claim = trigger(by=by, sent_at=_sent_at(headers), defer=defer)
        except StoreError as error:
            raise _logged(self, definition, error) from None
        return f"{claim.answer.value} {claim.run_id}".rstrip()

    def run_message(self: Task, *, process: str, run: str, work: str | None = None, works: list[str] | None = None) -> str:
        try:
            return _run(self, definition.name, run_items, process=process, run=run, works=works if work is None else [work])
        except StoreError as error:
            # A claim that failed left nothing begun; after a later outage the items come back with their leases.
            if error.facts.get("operation") not in BEFORE_WORK:
                raise _logged(self, definition, error, run) from None
            names = {"works": works} if work is None else {"work": work}
            _give_back(self, definition, error, process=process, run=run, **names)
        _say_revoked(self, definition.name)
        raise Ignore("given back")

    # Two names for one body: the claim tells the list, the names tell people and routes which it is.
    of_items = {kind: app.task(name=names[kind], **common)(run_message) for kind in ("work", "cleanup")}

    def set_up(**_: Any) -> None:
        for kind in names:
            # What `task_annotations` says of all tasks was set as these were bound.
            app.tasks[names[kind]].serializer = common["serializer"]
        for kind in of_items:
            _limit_batches(app.tasks[names[kind]], definition)

    if app.finalized:
        set_up()
    else:  # the project's own limits are known then
        app.on_after_finalize.connect(set_up, weak=False)
    return {"schedule": schedule, **of_items}


def _classes(given: Any) -> tuple[Any, ...]:
    return tuple(given) if isinstance(given, list | tuple) else (given,) if given else ()


def _limit_batches(task: Task, definition: Definition) -> None:
    """Let a message of several items take as many times the limits of one, soft and hard, whoever set them."""
    conf, most = task.app.conf, definition.most_items
    own = definition.time_limit.total_seconds() if definition.time_limit is not None else None
    # On prefork the hard limit ends a handler that hangs; on other pools the heartbeat lets its lease run out.
    hard = definition.task_options.get("time_limit") or own or conf.task_time_limit
    soft = definition.task_options.get("soft_time_limit") or conf.task_soft_time_limit
    task.time_limit = hard and hard * most
    task.soft_time_limit = soft and soft * most


def _advance(task: Task, definition: Definition, advance: Callable[[str, str], None], run: str, token: str) -> str:
    try:
        advance(run, token)
    except StoreError as error:
        _give_back(task, definition, error, run=run, token=token)
        raise Ignore("given back") from None
    return f"advanced {run}"


def _defer(task: Task, definition: Definition, due_in: timedelta) -> None:
    """Have a trigger come once more; where that fails, beat and the sweep look whether its slot has run."""
    headers = task.request.headers or {}
    sent = {"headers": {SENT_AT: headers[SENT_AT]}} if SENT_AT in headers else {}
    try:
        _publish_later(task, definition, due_in, sent, comeback=True)
    except Exception as error:  # noqa: BLE001 - logged
        extra = log_fields("trigger_undeferred", process_name=definition.name)
        log_failure(logger, "The trigger of %s does not come again", definition.name, error=error, extra=extra)


def _logged(task: Task, definition: Definition, error: StoreError, run: str = "") -> StoreError:
    """Return an error that ends a task, once it is logged: of what a task is known to raise Celery logs a line at INFO."""
    extra = log_fields("task_failed", process_name=definition.name, run_id=run)
    log_failure(logger, "A task %s ends early", task.name, error=error, extra=extra)
    return error


def _give_back(task: Task, definition: Definition, error: StoreError, **kwargs: Any) -> None:
    """Publish a message that the store could not serve once more, a little later; after `MOST_TRIES` it is the sweep's.

    An error that stays, and what an eager caller meets, is raised.
    """
    if task.request.is_eager or isinstance(error, STAYS):
        raise _logged(task, definition, error, str(kwargs["run"])) from None
    headers = task.request.headers or {}
    met = headers.get(TRIES, 0)
    tries = max(met, 0) + 1 if isinstance(met, int) else MOST_TRIES  # a foreign message may hold anything
    extra = log_fields("message_given_back", process_name=definition.name, run_id=str(kwargs.get("run", "")))
    if tries > MOST_TRIES:
        log_failure(logger, "A message to %s is left to the sweep, in the end", task.name, error=error, extra=extra)
        return
    due_in = timedelta(seconds=min(LONGEST_WAIT, 2**tries))
    more = {"headers": {"cp_schema": SCHEMA, TRIES: tries}, "kwargsrepr": kwargs_shown(kwargs)}
    more.update(root_id=task.request.root_id, parent_id=task.request.parent_id)
    try:
        _publish_later(task, definition, due_in, more, **kwargs)
    except Exception as unsent:  # noqa: BLE001 - logged, and the sweep sends them
        text = "A message to %s met an error of the store (%s) and is left to the sweep"
        log_failure(logger, text, task.name, error, error=unsent, extra=extra)
    else:
        log_failure(logger, "A message to %s comes again in %s", task.name, due_in, error=error, extra=extra)


def stamp(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Write into a trigger when it is sent; a receiver of `before_task_publish`, in beat."""
    if headers is not None:
        headers.setdefault(SENT_AT, time.time())


def _sent_at(headers: Mapping[str, Any]) -> datetime | None:
    seconds = headers.get(SENT_AT)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # a message may hold any number
        return None


def check_base(base: Any) -> None:
    """Refuse a class for the tasks of one process that decides by itself which messages are published."""
    if base is not None and getattr(base, "apply_async", None) is not Task.apply_async:
        raise InvalidValue(
            f"task_options: base is {base!r:.80}, whose apply_async would decide whether an item is published; give a class "
            "that leaves apply_async to Celery. A process needs no lock: one run a slot and one worker an item is its own.",
            argument="task_options",
            value=base,
        )


def _run(task: Task, name: str, run_items: RunItems, *, process: object, run: object, works: object) -> str:
    schema = (task.request.headers or {}).get("cp_schema", SCHEMA)
    names_are_text = isinstance(works, list) and all(isinstance(item, str) for item in works)
    if process != name or not isinstance(run, str) or not names_are_text or not isinstance(schema, int) or schema > SCHEMA:
        extra = log_fields("message_refused", process_name=name)
        logger.error("A message to %s is not one of this version (schema %r); dropped.", task.name, schema, extra=extra)
        return "refused"
    assert isinstance(works, list)
    ended = run_items(run, works, str(task.request.id or ""))
    worked = [item for item in ended if item.answer is ClaimAnswer.CLAIMED]
    if worked or not ended:
        return outcome_of(name, worked, look=lambda item: command(task.app, "work", name, item))
    _say_revoked(task, name)
    raise Ignore(ended[0].answer.value)


def _say_revoked(task: Task, name: str) -> None:
    # Nothing was done here: neither a success nor a failure. Celery's word for it has no exception, only an event.
    if task.send_events and not task.app.conf.task_always_eager:
        try:
            with reaching_broker(task.app):
                task.send_event("task-revoked", terminated=False, signum=None, expired=False)
        except Exception as error:  # noqa: BLE001 - logged: a monitor that misses this shows STARTED
            extra = log_fields("event_unsent", process_name=name)
            log_failure(logger, "task-revoked could not be sent", error=error, extra=extra)


def come_back(definition: Definition, tasks: Mapping[str, Task], run_id: str, token: str, due_in: timedelta) -> None:
    """Publish the scheduling task once more, for the next page of a run; where that fails, the sweep opens it."""
    try:
        _publish_later(tasks["schedule"], definition, due_in, {}, run=run_id, token=token)
    except Exception as error:  # noqa: BLE001 - logged, and the sweep opens it
        extra = log_fields("comeback_unpublished", process_name=definition.name, run_id=run_id)
        log_failure(logger, "The next page of %s is left to the sweep", definition.name, error=error, extra=extra)


def bring(definition: Definition, tasks: Mapping[str, Task], valid: timedelta) -> None:
    """Publish the scheduling task for a slot that is late, valid for a time; where that fails, a later sweep does.

    A caller waits a moment at most, whatever the broker does.
    """
    background.do(lambda: _bring(definition, tasks["schedule"], valid))


def _bring(definition: Definition, schedule: Task, valid: timedelta) -> None:
    options = {**publishing(definition), "headers": {LATE_SLOT: True}, "expires": valid.total_seconds()}
    try:
        with reaching_broker(schedule.app):
            schedule.apply_async(add_to_parent=False, **ONCE_MORE, **options)
    except Exception as error:  # noqa: BLE001 - logged, and a later sweep does
        extra = log_fields("slot_unpublished", process_name=definition.name)
        log_failure(logger, "The late slot of %s is left to the next sweep", definition.name, error=error, extra=extra)


def _publish_later(
    schedule: Task, definition: Definition, due_in: timedelta, more: Mapping[str, Any], **kwargs: Any
) -> None:
    seconds = due_in.total_seconds()
    # The items' own expiry is not the scheduling task's, which would be over before it is due.
    options = {"add_to_parent": False, "expires": None, **ONCE_MORE, **more, **publishing(definition)}
    with reaching_broker(schedule.app):
        try:
            schedule.apply_async(kwargs=kwargs, countdown=seconds, **options)
        except ValueError:  # Celery delays by whole seconds, at least one, where queues are quorum queues
            schedule.apply_async(kwargs=kwargs, countdown=max(1, math.ceil(seconds)), **options)


def publishing(definition: Definition) -> dict[str, Any]:
    """Return the options with which messages of a process are published."""
    return {key: definition.task_options[key] for key in _PUBLISH_OPTIONS if key in definition.task_options}


def batched(producer: Any) -> AbstractContextManager[object]:
    """Return a context in which messages travel many a round trip, where the transport can (kombu 5.7, Redis)."""
    batch = getattr(producer, "batch", None)
    return batch() if batch is not None else nullcontext()


def publish_items(
    app: Celery,
    definition: Definition,
    tasks: Mapping[str, Task],
    on: WorkList,
    names: tuple[str, ...],
    run_id: str,
    *,
    size: int,
) -> None:
    """Publish items, `size` a message, through one producer; in eager mode, work them here. Raises as `reaching_broker`."""
    task = tasks["work" if on is WorkList.ACTIVE else "cleanup"]
    batches = [names[start : start + size] for start in range(0, len(names), size)]
    arguments = [
        {"process": definition.name, "run": run_id, **({"work": batch[0]} if len(batch) == 1 else {"works": list(batch)})}
        for batch in batches
    ]
    if app.conf.task_always_eager:
        for kwargs in arguments:
            task.apply(kwargs=kwargs, throw=False)
        return
    options = {"headers": {"cp_schema": SCHEMA}, "add_to_parent": False, **ONCE_MORE, **publishing(definition)}
    present = app.current_worker_task
    root = (present.request.root_id or present.request.id) if present else None
    with reaching_broker(app), app.producer_or_acquire() as producer, batched(producer):
        for kwargs in arguments:
            # All items under one root, the task that began the run; where none did, under the first of these.
            options.update(root_id=root, parent_id=root)
            sent = task.apply_async(kwargs=kwargs, kwargsrepr=kwargs_shown(kwargs), producer=producer, **options)
            root = root or sent.id
