"""The definition of a process in the code: its handlers and options, checked once when it is defined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

from celery_process.checks import check_count, check_process_name
from celery_process.exceptions import InvalidType, InvalidValue, short_repr
from celery_process.jsontext import encode
from celery_process.protocol.limits import check_rate, check_window, per_second
from celery_process.protocol.model import RunSpec
from celery_process.protocol.tolerance import Tolerance
from celery_process.schedule import slots
from celery_process.schedule.frequency import Frequency, frequency, seconds
from celery_process.schedule.slots import Interval, Occurrences

Handler = Callable[[Any], object]

OVERLAPS = ("skip", "replace")
MAX_BATCH = 1_000
"""The most items that a message carries."""
MAX_AUTO_BATCH = 100
"""The most items that a message carries with `batch_size="auto"`: more would save little."""
_USELESS_OPTIONS = {
    **dict.fromkeys(
        (
            *("autoretry_for", "dont_autoretry_for", "default_retry_delay", "max_retries", "override_max_retries"),
            *("retry_backoff", "retry_backoff_max", "retry_jitter", "retry_kwargs"),
        ),
        "an item that fails is not tried again by Celery: its run counts the error, and redrive runs it again",
    ),
    **dict.fromkeys(("countdown", "eta"), "the schedule and initial_wait say when a run begins"),
    **dict.fromkeys(
        ("self", "filter", "lazy", "on_bound", "run", "apply_async", "delay", "apply"), "they are the library's own"
    ),
}
"""Celery's task options that a process refuses, and why."""
_OWN_OPTIONS = ("name", "bind", "ignore_result", "serializer", "shadow", "shared", "trail")
_CHECK = "check"
_SECOND = timedelta(seconds=1)


def _batch_size(value: object, *, argument: str) -> int:
    if isinstance(value, str) and value != "auto":
        raise InvalidType(f'{argument} is an int or "auto", not {short_repr(value)}.', argument=argument, value=value)
    return 0 if value == "auto" else check_count(value, argument, MAX_BATCH)


def _overlap(value: object, *, argument: str) -> str:
    if not isinstance(value, str):
        raise InvalidType(
            f"{argument} is one of {', '.join(OVERLAPS)}, not {short_repr(value)}.", argument=argument, value=value
        )
    if value not in OVERLAPS:
        raise InvalidValue(
            f"{argument} is one of {', '.join(OVERLAPS)}, not {short_repr(value)}.", argument=argument, value=value
        )
    return value


def _flag(value: object, *, argument: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidType(f"{argument} is True or False, not {short_repr(value)}.", argument=argument, value=value)
    return value


def _tolerance(value: object, *, argument: str) -> Tolerance:
    if not isinstance(value, Tolerance):
        raise InvalidType(
            f"{argument} is a Tolerance(per_work, per_run), not {short_repr(value)}.", argument=argument, value=value
        )
    return value


def _task_options(value: object, *, argument: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidType(
            f"{argument} is a dict of Celery's task options, not {short_repr(value)}.", argument=argument, value=value
        )
    own = sorted(set(value) & set(_OWN_OPTIONS))
    if own:
        raise InvalidValue(f"{argument} cannot set {', '.join(own)}; the library does.", argument=argument, value=own)
    for option in value:
        if option in _USELESS_OPTIONS:
            raise InvalidValue(
                f"{argument} cannot set {option}: {_USELESS_OPTIONS[option]}; leave it out.",
                argument=argument,
                value=option,
            )
    expires = value.get("expires")
    if expires is not None and (isinstance(expires, bool) or not isinstance(expires, int | float) or expires <= 0):
        raise InvalidValue(
            f"{argument}: expires is seconds above 0, counted for each message, not {short_repr(expires)}.",
            argument=argument,
            value=expires,
        )
    return dict(value)


def _schedule(value: object, *, argument: str) -> object:  # noqa: ARG001 - a schedule names itself
    frequency(value, minimum=_SECOND)
    return value  # unchanged: it is read later, in the time zone of the app


_above_zero = partial(seconds, above_zero=True)


class Check(Protocol):
    """Return the value of an option to store; raises `InvalidType` or `InvalidValue`, which name the argument."""

    def __call__(self, value: Any, /, *, argument: str) -> Any: ...  # noqa: D102


def _option(default: Any, check: Check) -> Any:
    return field(default_factory=default if callable(default) else lambda: default, metadata={_CHECK: check})


def nothing_to_clean(work: object) -> None:
    """Clean up an item of a process without a cleanup: do nothing, so that the item is dropped."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A process as the code defines it: its options, each with its default and its check, and its handlers.

    Durations are timedeltas; `schedule` is None for a process that runs only when somebody triggers it. `batch_size` 0 is
    "auto".
    """

    name: str
    handler: Handler
    schedule: Any = _option(None, _schedule)
    settings: str = _option("{}", encode)
    tolerance: Tolerance = _option(Tolerance(), _tolerance)
    overlap: str = _option("skip", _overlap)
    batch_size: int = _option(1, _batch_size)
    batch_duration: timedelta = _option(_SECOND, _above_zero)
    max_in_flight: int = _option(1000, check_window)
    rate_limit: str | None = _option(None, check_rate)
    lease: timedelta = _option(timedelta(seconds=30), _above_zero)
    time_limit: timedelta | None = _option(None, _above_zero)
    progress_frequency: timedelta | None = _option(None, _above_zero)
    min_schedule_frequency: timedelta = _option(_SECOND, _above_zero)
    initial_wait: timedelta = _option(timedelta(0), seconds)
    jitter: timedelta = _option(timedelta(0), seconds)
    rerun_on_change: bool = _option(False, _flag)
    task_options: Mapping[str, Any] = _option(dict, _task_options)
    cleanup: Handler = nothing_to_clean
    gone: tuple[type[BaseException], ...] = ()
    wait: Callable[[], object] | None = None

    @property
    def most_items(self) -> int:
        """How many items a message may carry."""
        return self.batch_size or MAX_AUTO_BATCH

    @property
    def rate(self) -> float | None:
        """How many items a second may be published; None is no limit."""
        return (per_second(self.rate_limit) or None) if self.rate_limit else None

    def spec(self) -> RunSpec:
        """Return the part of the definition that each run of this process stores."""
        tolerance = self.tolerance
        return RunSpec(self.settings, tolerance.per_work, tolerance.per_run, tolerance.percent)

    def occurrences(self, current: Frequency | None) -> Occurrences:
        """Return the rule of the slots; without a schedule, the minimum, within which triggers share one run."""
        return current.occurrences if current is not None else Interval(self.min_schedule_frequency)

    def progress_every(self, current: Frequency | None) -> timedelta:
        """Return how often progress is written: by `progress_frequency`, else by the schedule (B2)."""
        if self.progress_frequency is not None:
            return self.progress_frequency
        minimum = self.min_schedule_frequency if self.min_schedule_frequency != _SECOND else None
        if current is None or not isinstance(current.occurrences, Interval):
            return slots.progress_of(timedelta(minutes=5), minimum)
        return slots.progress_of(current.occurrences.period, minimum)


OPTIONS: Mapping[str, Check] = {option.name: option.metadata[_CHECK] for option in fields(Definition) if option.metadata}
"""The options of a process, each with its check."""


def define(name: object, handler: Handler, options: Mapping[str, Any]) -> Definition:
    """Return the definition with the options of `Processes.process`; raises `InvalidType` or `InvalidValue`.

    An option that is None takes its default.
    """
    checked_name = check_process_name(name)
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise InvalidType(
            f"A process has no option {unknown[0]!r}; its options are {', '.join(sorted(OPTIONS))}.",
            argument=unknown[0],
            value=options[unknown[0]],
        )
    return Definition(checked_name, handler, **_checked({key: value for key, value in options.items() if value is not None}))


def with_flow_control(definition: Definition, **options: object) -> Definition:
    """Return the definition with the original's flow control: the schedule becomes the minimum (B3)."""
    checked = _checked(options)
    return replace(definition, **checked, schedule=checked["min_schedule_frequency"])


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: OPTIONS[name](value, argument=name) for name, value in options.items()}
