"""What the code says of a process: its handlers and options, checked once when it is defined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from celery_process.exceptions import InvalidType, InvalidValue
from celery_process.protocol.limits import check_rate, check_window, per_second
from celery_process.protocol.model import RunSpec
from celery_process.protocol.tolerance import Tolerance
from celery_process.schedule import slots
from celery_process.schedule.frequency import Frequency, frequency, seconds
from celery_process.schedule.slots import Interval, Occurrences
from celery_process.values import check_count, check_process_name, decode, encode

Handler = Callable[[Any], object]

OVERLAPS = ("skip", "replace")
MAX_BATCH = 1_000
"""Items a message at most."""
MAX_AUTO_BATCH = 100
"""Items a message at most with `batch_size="auto"`: beyond it there is little left to save."""
_USELESS_OPTIONS = {
    **dict.fromkeys(
        (
            *("autoretry_for", "dont_autoretry_for", "default_retry_delay", "max_retries", "override_max_retries"),
            *("retry_backoff", "retry_backoff_max", "retry_jitter", "retry_kwargs"),
        ),
        "an item that fails is not tried again by Celery: its run counts the error, and redrive runs it again",
    ),
    **dict.fromkeys(("countdown", "eta"), "the schedule and initial_wait say when a run begins"),
    **dict.fromkeys(("filter", "lazy", "on_bound", "run", "apply_async", "delay", "apply"), "they are the library's own"),
}
"""Options that could not do what they say, and why."""
_OWN_OPTIONS = ("name", "bind", "ignore_result", "serializer", "shadow", "shared", "trail")

_OPTIONS = frozenset(
    {
        "schedule",
        "settings",
        "tolerance",
        "overlap",
        "batch_size",
        "batch_duration",
        "max_in_flight",
        "rate_limit",
        "lease",
        "time_limit",
        "progress_frequency",
        "min_schedule_frequency",
        "initial_wait",
        "jitter",
        "rerun_on_change",
        "task_options",
    }
)


def nothing_to_clean(work: object) -> None:
    """Clean up a process that defines no cleanup: there is nothing to do, the item is dropped."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A process as the code defines it. Durations are timedeltas; `schedule` is None where whoever triggers decides.

    `batch_size` 0 is "auto".
    """

    name: str
    handler: Handler
    schedule: Any = None
    settings: str = "{}"
    tolerance: Tolerance = Tolerance()
    overlap: str = "skip"
    batch_size: int = 1
    batch_duration: timedelta = timedelta(seconds=1)
    max_in_flight: int = 1000
    rate_limit: str | None = None
    lease: timedelta = timedelta(seconds=30)
    time_limit: timedelta | None = None
    progress_frequency: timedelta | None = None
    min_schedule_frequency: timedelta = timedelta(seconds=1)
    min_schedule_is_set: bool = False
    initial_wait: timedelta = timedelta(0)
    jitter: timedelta = timedelta(0)
    rerun_on_change: bool = False
    task_options: Mapping[str, Any] = field(default_factory=dict)
    cleanup: Handler = nothing_to_clean
    gone: tuple[type[BaseException], ...] = ()
    wait: Callable[[], object] | None = None

    @property
    def most_items(self) -> int:
        """How many items a message may carry."""
        return self.batch_size or MAX_AUTO_BATCH

    @property
    def rate(self) -> float | None:
        """How many items a second may be sent; None is no limit."""
        return (per_second(self.rate_limit) or None) if self.rate_limit else None

    def spec(self) -> RunSpec:
        """Return what a run of this process keeps of its definition."""
        tolerance = self.tolerance
        return RunSpec(self.settings, tolerance.per_work, tolerance.per_run, tolerance.percent)

    def occurrences(self, current: Frequency | None) -> Occurrences:
        """Return the rule that gives the slots; without a schedule, the grain within which one run is one run."""
        return current.occurrences if current is not None else Interval(self.min_schedule_frequency)

    def progress_every(self, current: Frequency | None) -> timedelta:
        """Return how often progress is written: as given, else by the schedule (B2)."""
        if self.progress_frequency is not None:
            return self.progress_frequency
        minimum = self.min_schedule_frequency if self.min_schedule_is_set else None
        if current is None or not isinstance(current.occurrences, Interval):
            return slots.progress_of(timedelta(minutes=5), minimum)
        return slots.progress_of(current.occurrences.period, minimum)

    def params(self, settings: str, own: str) -> dict[str, Any]:
        """Return the effective params: settings overlaid by the item's own (W27)."""
        return {**decode(settings), **decode(own)}


def define(name: object, handler: Handler, options: Mapping[str, Any]) -> Definition:
    """Return the definition that `Processes.process` was asked for; raises `InvalidType` or `InvalidValue`."""
    checked: dict[str, Any] = {"name": check_process_name(name), "handler": handler}
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise InvalidType(
            f"A process has no option {unknown[0]!r}; its options are {', '.join(sorted(_OPTIONS))}.",
            argument=unknown[0],
            value=options[unknown[0]],
        )
    given = {key: value for key, value in options.items() if value is not None}
    checked["settings"] = encode(options.get("settings"), argument="settings")
    if "min_schedule_frequency" in given:
        checked["min_schedule_frequency"] = seconds(
            given["min_schedule_frequency"], argument="min_schedule_frequency", above_zero=True
        )
        checked["min_schedule_is_set"] = checked["min_schedule_frequency"] != timedelta(seconds=1)
    checked["schedule"] = options.get("schedule")
    if checked["schedule"] is not None:  # checked here, so that a mistake is told where it was made
        frequency(checked["schedule"], minimum=timedelta(seconds=1))
    for key in ("lease", "time_limit", "progress_frequency", "batch_duration"):
        if key in given:
            checked[key] = seconds(given[key], argument=key, above_zero=True)
    for key in ("initial_wait", "jitter"):
        if key in given:
            checked[key] = seconds(given[key], argument=key)
    for key, check in _CHECKS.items():
        if key in given:
            checked[key] = check(given[key])
    if "overlap" in given:
        checked["overlap"] = _one_of(given["overlap"], "overlap", OVERLAPS)
    checked["rerun_on_change"] = _flag(given.get("rerun_on_change", False), "rerun_on_change")
    checked["task_options"] = _task_options(given.get("task_options", {}))
    return Definition(**checked)


def with_flow_control(
    definition: Definition, *, initial_wait: object, min_schedule_frequency: object, progress_frequency: object
) -> Definition:
    """Return the definition with the original's flow control: the schedule becomes the minimum (B3)."""
    minimum = seconds(min_schedule_frequency, argument="min_schedule_frequency", above_zero=True)
    return replace(
        definition,
        initial_wait=seconds(initial_wait, argument="initial_wait"),
        min_schedule_frequency=minimum,
        min_schedule_is_set=True,
        schedule=minimum,
        progress_frequency=seconds(progress_frequency, argument="progress_frequency", above_zero=True),
    )


def _batch_size(value: object) -> int:
    if isinstance(value, str) and value != "auto":
        raise InvalidType(f'batch_size is an int or "auto", not {value!r:.80}.', argument="batch_size", value=value)
    return 0 if value == "auto" else check_count(value, "batch_size", MAX_BATCH)


def _one_of(value: object, argument: str, known: tuple[str, ...]) -> str:
    if not isinstance(value, str):
        raise InvalidType(f"{argument} is one of {', '.join(known)}, not {value!r:.80}.", argument=argument, value=value)
    if value not in known:
        raise InvalidValue(f"{argument} is one of {', '.join(known)}, not {value!r:.80}.", argument=argument, value=value)
    return value


def _flag(value: object, argument: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidType(f"{argument} is True or False, not {value!r:.80}.", argument=argument, value=value)
    return value


def _tolerance(value: object) -> Tolerance:
    if not isinstance(value, Tolerance):
        raise InvalidType(
            f"tolerance is a Tolerance(per_work, per_run), not {value!r:.80}.", argument="tolerance", value=value
        )
    return value


def _task_options(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidType(
            f"task_options is a dict of Celery's task options, not {value!r:.80}.", argument="task_options", value=value
        )
    own = sorted(set(value) & set(_OWN_OPTIONS))
    if own:
        raise InvalidValue(
            f"task_options cannot set {', '.join(own)}; the library does.", argument="task_options", value=own
        )
    for option in value:
        if option in _USELESS_OPTIONS:
            raise InvalidValue(
                f"task_options cannot set {option}: {_USELESS_OPTIONS[option]}; leave it out.",
                argument="task_options",
                value=option,
            )
    expires = value.get("expires")
    if expires is not None and (isinstance(expires, bool) or not isinstance(expires, int | float) or expires <= 0):
        raise InvalidValue(
            f"task_options: expires is seconds above 0, counted for each message, not {expires!r:.80}.",
            argument="task_options",
            value=expires,
        )
    return dict(value)


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "batch_size": _batch_size,
    "max_in_flight": check_window,
    "rate_limit": check_rate,
    "tolerance": _tolerance,
}
"""The options that one function checks each."""
