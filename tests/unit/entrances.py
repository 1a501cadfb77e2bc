"""The arguments through which a value comes in, each with what it takes and what is stored of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery import Celery
from celery.schedules import schedule

from celery_process import Process, ProcessError, Processes, Tolerance, Work
from celery_process.exceptions import CannotJoin, ConfigurationError, InvalidType, NotFound, WrongState
from celery_process.jsontext import encode
from celery_process.stores.memory import MemoryStore
from celery_process.testing.clock import MovableClock
from tests.hostile import NOW, shown
from tests.snapshots import snapshot

NUMBER = (int, float)
SPAN = (int, float, timedelta)
NO_RATE = "0/s"


class Office:
    """An eager app over a memory store: a process with an item on each list, a run behind it and stored settings."""

    def __init__(self) -> None:
        self.app = Celery("hostile", set_as_current=False)
        self.app.conf.task_always_eager = True
        self.processes = Processes(self.app, backend=MemoryStore(clock=MovableClock(NOW)))
        self.process: Process = self.processes.process("key-gc", schedule=3600, settings={"ttl": 1})(lambda work: None)
        self.process.register_works({"a": {"x": 1}, "b": None})
        self.process.unregister_works(["gone"])
        self.process.run_now()
        self.process.unregister_work("b")
        self.process.update_settings({"ttl": 2})
        self.fresh = self.define("fresh")
        self.item = Work("a")

    def snapshot(self) -> Any:
        """Return the store, the definition, the names that are defined, and what the item counted."""
        kept = tuple(process.definition for process in self.processes)
        return snapshot(self.processes.store), kept, (self.item.stats, self.item.total_errors)

    def define(self, name: Any = "other", **options: Any) -> Process:
        return self.processes.process(name, **{"schedule": 60, **options})(lambda work: None)


@dataclass(frozen=True)
class Entrance:
    """`call` passes a value; `takes` are the types it may have; `stored` returns what is kept of an accepted one."""

    name: str
    call: Callable[[Office, Any], Any]
    takes: tuple[type, ...]
    stored: Callable[[Office, Any], Any] | None = None
    kept_as: Callable[[Any], Any] = lambda value: value


def _params(value: Any) -> dict[str, Any]:
    return dict(value or {})


def _rate(office: Office, _: Any) -> Any:
    return office.process.store.process("key-gc").limits.rate_limit  # type: ignore[union-attr]


def _spelled(value: Any) -> str:
    """Return a rate as it is kept: with its unit."""
    text = str(value).replace(" ", "")
    number, _, unit = text.partition("/")
    return NO_RATE if not float(number) else f"{number}/{unit or 's'}"


def _span(value: Any) -> Any:
    return value if isinstance(value, timedelta) else timedelta(seconds=value)


def _option(name: str, takes: tuple[type, ...], kept_as: Callable[[Any], Any] = lambda value: value) -> Entrance:
    stored = lambda office, _: getattr(office.processes["other"].definition, name)  # noqa: E731
    takes = (*takes, type(None))
    return Entrance(f"process {name}", lambda office, value: office.define(**{name: value}), takes, stored, kept_as)


def _span_option(name: str, default: Any) -> Entrance:
    return _option(name, SPAN, lambda value: default if value is None else _span(value))


def _of_tolerance(name: str, takes: tuple[type, ...]) -> Entrance:
    return Entrance(f"Tolerance {name}", lambda _, value: Tolerance(**{name: value}), takes)


def _flow_control(number: int) -> Entrance:
    def call(office: Office, value: Any) -> None:
        arguments: list[Any] = [1, 1, 1]
        arguments[number] = value
        office.fresh.update_flow_control(*arguments)

    return Entrance(f"update_flow_control {number}", call, SPAN)


_VERBS = [
    Entrance("register_work name", lambda o, v: o.process.register_work(v), (str,), lambda o, v: o.process.work(v).name),
    Entrance(
        "register_work params",
        lambda o, v: o.process.register_work("c", v),
        (Mapping, type(None)),
        lambda o, v: o.process.work("c").params,
        _params,
    ),
    Entrance("register_work using", lambda o, v: o.process.register_work("c", using=v), (type(None),)),
    Entrance("register_works", lambda o, v: o.process.register_works(v), (Mapping,)),
    Entrance("unregister_work", lambda o, v: o.process.unregister_work(v), (str,), lambda o, v: o.process.work(v).name),
    Entrance("unregister_works", lambda o, v: o.process.unregister_works(v), (list, tuple, set, frozenset, Mapping, range)),
    Entrance("unregister_works one name", lambda o, v: o.process.unregister_works(["a", v]), (str,)),
    Entrance(
        "update_settings",
        lambda o, v: o.process.update_settings(v),
        (Mapping, type(None)),
        lambda o, v: dict(o.process.state().settings),
        lambda value: {"ttl": 2 if value is None else 1, **_params(value)},
    ),
    Entrance(
        "update_settings schedule",
        lambda o, v: o.process.update_settings({"ttl": 3}, schedule=v),
        (*SPAN, schedule, type(None)),
        lambda o, v: o.process.schedule_frequency,
        lambda value: timedelta(hours=1) if value is None else max(_span(value), timedelta(seconds=1)),
    ),
    Entrance("update_settings version", lambda o, v: o.process.update_settings({}, expected_version=v), (int, type(None))),
    Entrance(
        "update_settings by",
        lambda o, v: o.process.update_settings({}, by=v),
        (str,),
        lambda o, v: o.process.store.overrides("key-gc").by,
    ),
    Entrance(
        "update_limits max_in_flight",
        lambda o, v: o.process.update_limits(max_in_flight=v),
        (int, type(None)),
        lambda o, v: o.process.state().limits.max_in_flight,
    ),
    Entrance(
        "update_limits rate_limit",
        lambda o, v: o.process.update_limits(rate_limit=v),
        (*NUMBER, str, type(None)),
        _rate,
        _spelled,
    ),
    Entrance("update_limits by", lambda o, v: o.process.update_limits(rate_limit=5, by=v), (str,)),
    Entrance("pause note", lambda o, v: o.process.pause(v), (str,), lambda o, v: o.process.state().paused.note),  # type: ignore[union-attr]
    Entrance("pause by", lambda o, v: o.process.pause(by=v), (str,), lambda o, v: o.process.state().paused.by),  # type: ignore[union-attr]
    Entrance(
        "run_now slot",
        lambda o, v: o.process.run_now(v),
        (datetime, type(None)),
        lambda o, v: next(o.process.runs()).slot,
        lambda value: value or NOW,
    ),
    Entrance("run_now by", lambda o, v: o.process.run_now(by=v), (str,), lambda o, v: next(o.process.slots()).by),
    Entrance("redrive run_id", lambda o, v: o.process.redrive(v), (str,)),
    Entrance("redrive by", lambda o, v: o.process.redrive(next(o.process.runs()).id, by=v), (str,)),
    Entrance("settings_history", lambda o, v: o.process.settings_history(v), (int,)),
    Entrance("works on", lambda o, v: list(o.process.works(v)), (object,)),
    Entrance("work", lambda o, v: o.process.work(v), (str,)),
    Entrance("processes[name]", lambda o, v: o.processes[v], (object,)),
    Entrance("cleanup", lambda o, v: o.process.cleanup(v), (type(len), type, type(lambda: 0), type(None))),
    Entrance("cleanup gone", lambda o, v: o.process.cleanup(gone=v)(lambda work: None), (object,)),
    Entrance("wait", lambda o, v: o.process.wait(v), (type(len), type, type(lambda: 0))),
    *map(_flow_control, range(3)),
]
_OPTIONS = [
    Entrance("process name", lambda o, v: o.define(v), (str,), lambda o, v: o.processes[v].name),
    _option("schedule", (*SPAN, schedule)),
    _option("settings", (Mapping,), lambda value: encode(value, argument="settings")),
    _option("tolerance", (Tolerance,), lambda value: value or Tolerance(10, 25)),
    _option("overlap", (str,), lambda value: value or "skip"),
    _option("batch_size", (int,), lambda value: 1 if value is None else 0 if value == "auto" else value),
    _option("max_in_flight", (int,), lambda value: 1_000 if value is None else value),
    _option("rate_limit", (*NUMBER, str), lambda value: None if value is None else _spelled(value)),
    _option("rerun_on_change", (bool,), bool),
    _option("task_options", (Mapping,), _params),
    *(_span_option(name, timedelta(seconds=1)) for name in ("batch_duration", "min_schedule_frequency")),
    *(_span_option(name, None) for name in ("time_limit", "progress_frequency")),
    *(_span_option(name, timedelta(0)) for name in ("initial_wait", "jitter")),
    _span_option("lease", timedelta(seconds=30)),
    Entrance("process decorates", lambda o, v: o.processes.process("other", schedule=60)(v), (object,)),
]
_WORK = [
    Entrance("Work name", lambda _, v: Work(v), (str,)),
    Entrance("Work params", lambda _, v: Work("a", v), (Mapping, type(None))),
    Entrance("Work settings", lambda _, v: Work("a", settings=v), (Mapping, type(None))),
    Entrance("Work attempt", lambda _, v: Work("a", attempt=v), (int,)),
    Entrance("Work tolerance", lambda _, v: Work("a", tolerance=v), (Tolerance, type(None))),
    Entrance("add_stats name", lambda o, v: o.item.add_stats(v), (str,), lambda o, v: o.item.stats[v], lambda _: 1),
    Entrance("add_stats count", lambda o, v: o.item.add_stats("n", v), NUMBER, lambda o, _: o.item.stats["n"]),
    Entrance("run.add_stats name", lambda o, v: o.item.run.add_stats(v), (str,)),
    Entrance("run.add_stats count", lambda o, v: o.item.run.add_stats("n", v), NUMBER),
    Entrance(
        "add_error", lambda o, v: o.item.add_error(v), (str, BaseException), lambda o, _: o.item.total_errors, lambda _: 1
    ),
    Entrance("run.add_error", lambda o, v: o.item.run.add_error(v), (str, BaseException)),
    _of_tolerance("per_work", (int, type(None))),
    _of_tolerance("per_run", (int, type(None))),
    _of_tolerance("percent", (*NUMBER, type(None))),
    _of_tolerance("ignore", (object,)),
    _of_tolerance("fail", (object,)),
]


def _setting(name: str) -> Entrance:
    def call(office: Office, value: Any) -> None:
        office.app.conf[f"process_{name}"] = value
        try:
            office.processes.check()
        finally:
            office.app.conf[f"process_{name}"] = None

    return Entrance(f"conf.process_{name}", call, (object,))


_SETTINGS = [
    Entrance("Processes(app)", lambda _, v: Processes(v), (Celery, type(None))),
    Entrance("Processes backend", lambda o, v: Processes(Celery("n", set_as_current=False), backend=v), (str, type(None))),
    *map(_setting, ["page_size", "max_attempts", "sweep_interval", "redispatch_after", "retention", "flower_hosts"]),
    *map(_setting, ["table_prefix", "key_prefix"]),
]
ENTRANCES = [*_VERBS, *_OPTIONS, *_WORK, *_SETTINGS]
FITTING = (TypeError, ValueError, LookupError, RuntimeError)
"""The builtin classes that a refusal of an argument is one of."""


REFUSED, KEPT = "refused", "kept"


def passed(entrance: Entrance, value: Any, office: Office, before: Any) -> str:
    """Pass a value; return whether it was refused or kept, or what is wrong with how that was done."""
    said = f"{entrance.name} {shown(value)}"
    try:
        entrance.call(office, value)
    except ProcessError as error:
        faults = list(faults_of(error, value, entrance))
        if office.snapshot() != before:
            faults.append("it was refused and changed something")
        return f"{said}: {'; '.join(faults)}" if faults else REFUSED
    except Exception as error:
        return f"{said}: {type(error).__name__} {error!s:.60}"
    if entrance.stored is not None:
        found, expected = entrance.stored(office, value), entrance.kept_as(value)
        if found != expected:
            return f"{said}: came back as {shown(found)}"
    return KEPT


def faults_of(error: ProcessError, value: Any, entrance: Entrance) -> Any:
    """Yield what a refusal lacks: a fitting builtin class, and one line that ends with what to do."""
    text = str(error)
    if not isinstance(error, FITTING):
        yield f"{type(error).__name__} is no builtin"
    anything = object in entrance.takes
    of_type = anything or (isinstance(value, entrance.takes) and (not isinstance(value, bool) or bool in entrance.takes))
    if not of_type and not isinstance(error, TypeError):
        yield f"{type(error).__name__} for another type"
    if of_type and isinstance(value, str | int | float) and not anything:
        allowed = (ValueError, NotFound, WrongState)
        if isinstance(error, InvalidType | CannotJoin) or not isinstance(error, (*allowed, ConfigurationError)):
            yield f"{type(error).__name__} for the right type"
    if not text.endswith(".") or not text.isprintable() or len(text) >= 500:
        yield f"its text is {text[:200]!r} … ({len(text)})"
