"""Check what processes need, each fault with its cure: settings, store, clocks, beat, sweep, broker, workers.

Beat is judged by the slots that it triggered, and the sweep by its last pass: either may answer a ping while it does
nothing (celery#7251). No check changes anything or raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any

from celery import Celery

from celery_process.app import Processes
from celery_process.config import read_config
from celery_process.exceptions import ProcessError, SchemaMismatch, StoreError, StoreUnavailable
from celery_process.monitor import beat_slots
from celery_process.process import Process
from celery_process.protocol.model import SlotEntry
from celery_process.protocol.states import By, StopReason
from celery_process.schedule.frequency import describe
from celery_process.stores.base import Store
from celery_process.tasks.deployment import other_deployment
from celery_process.tasks.factory import task_names
from celery_process.tasks.publish import publishing
from celery_process.tasks.sweep_timer import SWEEP_TASK
from celery_process.text.commands import with_app_name
from celery_process.text.masking import masked_text

SKEW = timedelta(seconds=2)
"""How far the clocks of this host and of the store may be apart."""
_REDIS_TIMEOUTS = {"socket_timeout": 30, "socket_connect_timeout": 5, "socket_keepalive": True}
SWEEPS = 6
"""How many sweeps in a row may be missing while a run is open."""
NOBODY = ("celery_process", "1-0")
"""A process and a run that cannot exist: an operation on them writes nothing, but needs the permission to write."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. `cure`: what to do; where the finding is `ok`, what to do if that state was not intended."""

    check: str
    ok: bool
    text: str
    cure: str = ""


def document(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return findings as JSON values, with one `ok` for all of them: the body of a health endpoint."""
    listed = [asdict(finding) for finding in findings]
    return {"ok": all(item["ok"] for item in listed), "findings": listed}


def examine(
    processes: Processes, *, patience: float | None = 1.0, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> tuple[Finding, ...]:
    """Return the findings about an app. `patience`: seconds that workers have to answer; None does not ask them.

    `clock` is this host's. It costs a few reads a process, a round trip to the broker and one broadcast to all workers.
    """
    app = processes.app
    found = _examine(processes, patience, clock)
    return tuple(replace(one, text=with_app_name(one.text, app), cure=with_app_name(one.cure, app)) for one in found)


def _examine(processes: Processes, patience: float | None, clock: Callable[[], datetime]) -> tuple[Finding, ...]:
    app = processes.app
    findings = [_guarded("settings", lambda: _settings(processes))]
    if not findings[0].ok:
        return tuple(findings)
    findings.append(_guarded("names", lambda: _names(processes)))
    broker = _guarded("broker", lambda: _broker(app, patience or 1.0))
    # Beat is pinged only where a slot is late, since the ping waits as long as the one to the workers.
    beats = cache(lambda: _beats(app, patience) if broker.ok and patience is not None else [])
    store = list(_store(processes))
    findings += store
    if all(finding.ok for finding in store if finding.check in ("store", "schema")):
        findings.append(_guarded("deployment", lambda: _deployment(processes)))
        findings.append(_guarded("clock", lambda: _clock(processes.store, clock)))
        findings += [_guarded(f"beat:{process.name}", partial(_beat, process, beats)) for process in processes]
        findings.append(_guarded("sweep", lambda: _sweep(processes)))
        findings.append(_guarded("removed", lambda: _removed(processes)))
    findings.append(broker)
    findings.append(_guarded("timeouts", lambda: _timeouts(app)))
    if broker.ok and patience is not None:
        findings.append(_guarded("workers", lambda: _workers(processes, patience)))
    return tuple(findings)


def _guarded(check: str, run: Callable[[], Finding]) -> Finding:
    try:
        return run()
    except StoreUnavailable as error:
        return Finding(check, False, str(error), "Start the store's server, or correct process_backend.")
    except ProcessError as error:
        return Finding(check, False, str(error), "Do what the error says.")
    except Exception as error:  # noqa: BLE001 - whatever is wrong is the finding
        return Finding(check, False, masked_text(f"{type(error).__name__}: {error}"), "Look up the error, and read the log.")


def _settings(processes: Processes) -> Finding:
    processes.check_settings()
    return Finding("settings", True, "The process_* settings make sense, and those of Celery's that processes need.")


def _names(processes: Processes) -> Finding:
    processes.check_names()
    return Finding("names", True, "No other task or entry of beat has a name of a process.")


def _store(processes: Processes) -> Iterator[Finding]:
    try:
        store = processes.store
        warnings = store.check()
    except SchemaMismatch as error:
        yield Finding("schema", False, str(error), f"Run: {error.command}")
        return
    except Exception as error:  # noqa: BLE001 - as above
        raised = error
        yield _guarded("store", lambda: _again(raised))
        return
    yield Finding("store", True, f"{store.url} answers.")
    yield _guarded("writes", lambda: _writes(store))
    for warning in warnings:
        yield Finding("eviction" if warning.fault else "durability", not warning.fault, warning.text, warning.cure)


def _deployment(processes: Processes) -> Finding:
    other = other_deployment(processes.app, processes.store, claim=False)
    text, cure = ("The store belongs to no other deployment.", "") if other is None else (other.text, other.cure)
    return Finding("deployment", other is None, text, cure)


def _again(error: Exception) -> Finding:
    raise error


def _writes(store: Store) -> Finding:
    """Try a writing operation on a run that cannot exist: a read-only server or account refuses it."""
    try:
        store.stop_run(*NOBODY, StopReason.CANCELLED)
    except StoreError as error:
        reason = error.__cause__ or error
        return Finding(
            "writes",
            False,
            f"{store.url} can be read and not be written: {str(reason).splitlines()[0]:.200}",
            "Give the account the right to write, or name the primary in process_backend, not a replica.",
        )
    return Finding("writes", True, "The store takes writes.")


def _clock(store: Store, clock: Callable[[], datetime]) -> Finding:
    before = clock()
    stores = store.now()
    after = clock()
    apart = stores - (before + (after - before) / 2)
    ok = abs(apart) - (after - before) / 2 <= SKEW
    side = "ahead of" if apart > timedelta(0) else "behind"
    text = f"The store's clock is {abs(apart).total_seconds():.1f} s {side} this host's."
    cure = "Keep the clocks of both by NTP: slots and leases follow the store's, beat and its schedule this host's."
    return Finding("clock", ok, text, "" if ok else cure)


def _beat(process: Process, beats: Callable[[], list[str]]) -> Finding:
    """Judge beat by the slots that it triggered: a wedged beat answers no ping either, so only an answer is evidence."""
    check, name = f"beat:{process.name}", process.name
    store = process.store
    overrides = store.overrides(name)
    current = process.in_force(overrides)
    if current is None:
        return Finding(check, True, f"{name} has no schedule.")
    start = "Start beat if it does not run: celery -A proj beat."
    entries = store.slots(name, before=None, limit=beat_slots.MAX_ENTRIES)
    slot, since = beat_slots.overdue_slot(process, current, overrides, entries)
    if slot is None:
        return Finding(check, True, f"No slot of {name} has come yet.", start)
    if store.now() - slot <= beat_slots.allowed_delay(process, current, slot):
        return Finding(check, True, _last_slot(name, entries), "" if entries else start)
    text = f"No slot of {name} has come from beat since {_when(since)}; the schedule is {describe(current.value)}."
    if entries and entries[0].by == By.SWEEP:
        text = (
            f"Beat does not run for {name}: its last slots came late, from the sweep, the newest at {_when(entries[0].at)}."
        )
    if answering := beats():
        cure = (
            f"Beat answers ({', '.join(answering)}), so check that its schedule has {task_names(name)['schedule']!r} and "
            "that a worker consumes the queue of that task."
        )
    else:
        cure = (
            f"{start} If it does, it is wedged, or its clock is wrong: end it, by SIGKILL if need be, look at the end of "
            "its log, and start it again. If it sends triggers, see the finding `workers`."
        )
    return Finding(check, False, text, cure)


def _last_slot(name: str, entries: Sequence[SlotEntry]) -> str:
    newest = next(iter(entries), None)
    if newest is None:
        return f"No slot of {name} has come yet."
    return f"The last slot of {name} was {_when(newest.slot)} ({newest.end.value})."


def _sweep(processes: Processes) -> Finding:
    interval = read_config(processes.app).sweep_interval
    newest, late = _unswept(processes, [process.name for process in processes])
    if late:
        return Finding(
            "sweep",
            False,
            f"No sweep repairs {', '.join(late)}; one is due every {interval.total_seconds():g} s.",
            f"Start a worker, or route {SWEEP_TASK!r} to a queue that is not full; by hand: celery -A proj process sweep",
        )
    return Finding("sweep", True, f"The last sweep was at {_when(newest)}." if newest else "No run needs a sweep.")


def _removed(processes: Processes) -> Finding:
    """Judge the open runs of processes that this code lacks: a run that is swept belongs to another app."""
    undefined = [process.name for process in processes.removed()]
    _, late = _unswept(processes, undefined)
    if late:
        return Finding(
            "removed",
            False,
            f"This code does not define {', '.join(late)}, and no app sweeps its open run.",
            f"Start a worker whose code does, or end the run: `process cancel {undefined[0]}`.",
        )
    return Finding("removed", True, "Each process with an open run is in this code, or swept by another app.")


def _unswept(processes: Processes, names: Iterable[str]) -> tuple[datetime | None, list[str]]:
    """Return when an open run of the processes was last swept, and the processes whose open run was not swept for long."""
    store, interval = processes.store, read_config(processes.app).sweep_interval
    now, newest, late = store.now(), None, []
    for name in names:
        stored = store.process(name, live=False)
        if stored.run is None or not stored.run.state.is_open:
            continue
        newest = max(filter(None, (newest, stored.swept_at)), default=None)
        if now - max(filter(None, (stored.swept_at, stored.run.started_at))) > SWEEPS * interval:
            swept = "never" if stored.swept_at is None else f"last at {_when(stored.swept_at)}"
            late.append(f"{name} (run {stored.run.id}, {swept})")
    return newest, late


def _broker(app: Celery, patience: float) -> Finding:
    with app.connection_for_write() as connection:
        failed: dict[str, str] = {}

        def note(error: Exception, _: float = 0) -> None:
            # kombu calls this with the failed URL of a failover list in place, then goes on to the next URL.
            failed[masked_text(connection.as_uri())] = masked_text(str(error)) or type(error).__name__

        try:
            tries = max(len(connection.alt), 1)
            connection.ensure_connection(note, max_retries=tries, interval_start=0, timeout=max(patience, 1.0) * tries)
        except Exception as error:  # noqa: BLE001 - whatever the transport raises
            note(error)
            text = "; ".join(f"{url} is out of reach: {text}" for url, text in failed.items())
            return Finding("broker", False, text, "Start the broker, or correct broker_url.")
        answers = masked_text(connection.as_uri())
    dead = ", ".join(url for url in failed if url != answers)
    if dead:
        return Finding("broker", True, f"{answers} answers, {dead} does not.", "Start it, or take it out of broker_url.")
    return Finding("broker", True, f"{answers} answers.")


def _timeouts(app: Celery) -> Finding:
    """Report a connection to the broker without a timeout: where the broker falls silent, publishing over it never ends."""
    text, cure = "The connections to the broker end where it falls silent.", ""
    with app.connection_for_write() as connection:
        driver = connection.transport.driver_type
        if driver == "redis" and not (connection.transport_options or {}).get("socket_timeout"):
            text = "Nothing ends a wait for a Redis broker that falls silent: a task that publishes may hang for ever."
            cure = f"Set broker_transport_options to {_REDIS_TIMEOUTS}, beside what it has."
        elif driver == "amqp" and not app.conf.broker_heartbeat:
            text = "broker_heartbeat is off: a connection whose other end is gone is not noticed."
            cure = "Set broker_heartbeat to 60, unless the pool is gevent or eventlet."
    return Finding("timeouts", True, text, cure)


def _beats(app: Celery, patience: float) -> list[str]:
    """Return the beats that answer a ping; they answer with `beat_enable_remote_control`, since Celery 5.7."""
    try:
        replies = app.control.ping(timeout=patience) if app.conf.get("beat_enable_remote_control") else []
    except Exception:  # noqa: BLE001 - a failed ping counts as no answer
        return []
    return sorted(node for reply in replies for node in reply if node.startswith("celerybeat@"))


def _workers(processes: Processes, patience: float) -> Finding:
    app = processes.app
    if app.conf.task_always_eager:
        return Finding("workers", True, "Items are worked in-process (task_always_eager).")
    needed: dict[str, list[str]] = {}
    for process in processes:
        for task in task_names(process.name).values():
            needed.setdefault(_queue(app, task, publishing(process.definition)), []).append(task)
    needed.pop("", None)
    answers = app.control.inspect(timeout=patience).active_queues() or {}
    consumed = {queue["name"] for queues in answers.values() for queue in queues}
    missing = sorted(set(needed) - consumed)
    if missing:
        tasks = ", ".join(task for queue in missing for task in needed[queue][:3])
        who = f"Of {len(answers)} that answer, none" if answers else f"No worker answers within {patience:g} s: none"
        return Finding(
            "workers",
            False,
            f"{who} consumes {', '.join(missing)} ({tasks}, …).",
            f"Start one: celery -A proj worker -Q {','.join(missing)}. A solo worker that is busy, and one without remote "
            "control, do not answer.",
        )
    return Finding("workers", True, f"{len(answers)} answer, and {', '.join(sorted(needed))} is consumed.")


def _queue(app: Celery, task: str, options: dict[str, Any]) -> str:
    """Return the name of the queue that a task is published to; empty where it goes to an exchange alone."""
    queue = app.amqp.router.route(dict(options), task).get("queue", "")
    return str(getattr(queue, "name", queue))


def _when(instant: datetime | None) -> str:
    return "-" if instant is None else f"{instant:%Y-%m-%d %H:%M:%S}Z"
