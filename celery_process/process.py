"""`Process`: what people and programs do with a process from outside its runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, overload

from celery_process.checks import check_count, check_instant, check_text, check_version, check_work_name
from celery_process.definition.callables import check_callable
from celery_process.definition.options import Definition, Handler, with_flow_control
from celery_process.engine.dispatch import Dispatch
from celery_process.engine.home import Home
from celery_process.engine.late import trigger_resumed
from celery_process.engine.sweep import go_on
from celery_process.exceptions import AlreadyUsed, InvalidType, InvalidValue, ScheduleOwned, short_repr
from celery_process.jsontext import decode, encode
from celery_process.protocol import model
from celery_process.protocol.limits import NO_RATE, Limits, check_rate, check_window
from celery_process.protocol.rules import effective
from celery_process.protocol.states import StopReason, WorkList
from celery_process.protocol.tolerance import exception_classes
from celery_process.schedule.frequency import Frequency, decides_itself, frequency, from_text
from celery_process.stores.base import Store

PAGE = 200


class Process:
    """A process of an app. Made by `Processes.process`; found as `processes["name"]`.

    Reading changes nothing. Every method is one operation of the store and may raise `StoreUnavailable`.
    """

    def __init__(self, definition: Definition, home: Home) -> None:
        self.definition = definition
        self._home = home
        self._dispatch: Dispatch | None = None

    @property
    def name(self) -> str:
        """The process's name."""
        return self.definition.name

    @property
    def store(self) -> Store:
        """The app's present store, to read from; reading does not fix the flow control of the process (B3)."""
        return self._home.store

    @property
    def dispatch(self) -> Dispatch:
        """Starts and ends runs, over the app's present store; its first use fixes the flow control (B3)."""
        store, dispatch = self.store, self._dispatch
        if dispatch is None or dispatch.store is not store or dispatch.definition is not self.definition:
            self._dispatch = dispatch = Dispatch(self.definition, store, self._home.config, self._home.port(self.name))
        return dispatch

    def __call__(self, work: Any) -> object:
        """Call the handler for active work, as a unit test does with a plain `Work`."""
        return self.definition.handler(work)

    def __repr__(self) -> str:
        return f"<Process {self.name}>"

    # -- handlers

    @overload
    def cleanup(self, handler: Handler, /) -> Handler: ...
    @overload
    def cleanup(
        self, /, *, gone: tuple[type[BaseException], ...] | type[BaseException] = ()
    ) -> Callable[[Handler], Handler]: ...

    def cleanup(self, handler: Handler | None = None, /, *, gone: Any = ()) -> Any:
        """Decorate the handler for items that were unregistered; exceptions of the classes `gone` mean "clean"."""
        classes = exception_classes(gone, argument="gone")

        def decorate(function: Handler) -> Handler:
            check_callable(function, argument="cleanup")
            self.definition = replace(self.definition, cleanup=function, gone=classes)
            return function

        return decorate if handler is None else decorate(handler)

    def wait(self, condition: Callable[[], object]) -> Callable[[], object]:
        """Decorate the condition that is called at each trigger before the claim; false declines the trigger."""
        check_callable(condition, argument="wait")
        self.definition = replace(self.definition, wait=condition)
        return condition

    # -- definitions

    def register_work(self, name: str, params: Mapping[str, Any] | None = None, *, using: Any = None) -> bool:
        """Put an item on the active list; return whether that changed anything (B8).

        With `using`, a SQLAlchemy Session or Connection, or the alias of a Django database, the write joins that
        transaction: yours to commit.
        """
        return bool(self.register_works({check_work_name(name): params}, using=using))

    def unregister_work(self, name: str, *, using: Any = None) -> bool:
        """Put an item on the cleanup list, even one never registered (B9); return whether that changed anything."""
        return bool(self.unregister_works([name], using=using))

    def register_works(self, works: Mapping[str, Mapping[str, Any] | None], *, using: Any = None) -> tuple[str, ...]:
        """Put items (name → params) on the active list; return the names that changed."""
        if not isinstance(works, Mapping):
            raise InvalidType(
                f"works is a dict of name → params, not {type(works).__name__}.", argument="works", value=works
            )
        checked = {check_work_name(name): encode(params) for name, params in works.items()}
        return self.dispatch.store.register(self.name, checked, using=using)

    def unregister_works(self, names: Collection[str], *, using: Any = None) -> tuple[str, ...]:
        """Put items on the cleanup list; return the names that changed."""
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise InvalidType(
                f"names is a list of names, not {short_repr(names)}; for one name use unregister_work.",
                argument="names",
                value=names,
            )
        checked = [check_work_name(name) for name in names]
        return self.dispatch.store.unregister(self.name, checked, using=using)

    def update_settings(
        self,
        settings: Mapping[str, Any] | None,
        *,
        schedule: Any = None,
        expected_version: int | None = None,
        by: str = "",
        using: Any = None,
    ) -> int:
        """Replace the stored settings as a whole, and the schedule if one is passed; return the new version (B4).

        They win over the code's defaults, which fill missing keys (B5); `{}` goes back to the defaults, None keeps the
        stored ones. A running beat follows a new schedule by itself. Raises `ScheduleOwned` if an entry of `beat_schedule`
        is the schedule, `SettingsChanged` if the version is not the expected one.
        """
        encoded = None if settings is None else encode(settings, argument="settings")
        check_text(by, argument="by")
        check_version(expected_version, argument="expected_version")
        text = None
        if schedule is not None:
            text = frequency(schedule, minimum=self.definition.min_schedule_frequency, zone=self._home.zone).text
            owner = self._home.owner(self.name)
            if owner is not None:
                raise ScheduleOwned(
                    f"The schedule of {self.name!r} is the entry {owner[0]!r} of beat_schedule; change it there.",
                    process=self.name,
                    entry=owner[0],
                )
        return self.dispatch.store.update_settings(
            self.name, settings=encoded, schedule=text, by=by, expected_version=expected_version, using=using
        )

    def update_limits(
        self, *, max_in_flight: int | None = None, rate_limit: Any = None, reset: bool = False, by: str = ""
    ) -> None:
        """Store limits, which win over the code's from the next page of an open run on; None keeps the stored one.

        `max_in_flight`: items of a run out at once. `rate_limit`: items sent, by all workers together: a number a second,
        "10/m" or "5/h"; 0 is no limit, whatever the code has. `reset` deletes the stored ones first.
        """
        window = None if max_in_flight is None else check_window(max_in_flight)
        rate = None if rate_limit is None else check_rate(rate_limit)
        by = check_text(by, argument="by")
        if window is None and rate is None and not reset:
            raise InvalidValue("Nothing to store; give max_in_flight, rate_limit, or reset=True.", argument="rate_limit")
        self.dispatch.store.update_limits(self.name, max_in_flight=window, rate_limit=rate, reset=reset, by=by)
        if (run_id := self.dispatch.open_run()) is not None:
            self.dispatch.advance(run_id)

    def update_flow_control(self, initial_wait: Any, min_schedule_frequency: Any, progress_frequency: Any) -> None:
        """Set the original's flow control: the schedule becomes the minimum, the progress frequency is used as it is (B3).

        Raises `AlreadyUsed` after the first use of the process in this interpreter.
        """
        if self._dispatch is not None:
            raise AlreadyUsed(
                f"{self.name!r} was used here already; set its flow control where it is defined, before its first use.",
                process=self.name,
            )
        self.definition = with_flow_control(
            self.definition,
            initial_wait=initial_wait,
            min_schedule_frequency=min_schedule_frequency,
            progress_frequency=progress_frequency,
        )
        self._home.rescheduled(self.name)

    @property
    def default_settings(self) -> dict[str, Any]:
        """The settings of the code."""
        return decode(self.definition.settings)

    @property
    def schedule_frequency(self) -> Any:
        """The schedule in force: a timedelta (clamped, B2), a crontab, or None if each trigger makes a slot."""
        current = self.current()
        return None if current is None else current.value

    def current(self) -> Frequency | None:
        """Return the schedule in force; does not read the store if it is an entry of `beat_schedule`."""
        owned = self._home.owner(self.name) is not None
        return self.in_force(model.Overrides() if owned else self.store.overrides(self.name))

    def default_frequency(self) -> Frequency | None:
        """Return the schedule of the code: an own entry of `beat_schedule`, else the argument `schedule`.

        None if each trigger makes a slot: without a schedule, and if the entry has one that only beat can evaluate.
        """
        owner = self._home.owner(self.name)
        value = self.definition.schedule if owner is None else owner[1]
        if value is None or (owner is not None and decides_itself(value)):
            return None
        return frequency(value, minimum=self.definition.min_schedule_frequency, zone=self._home.zone)

    def in_force(self, overrides: model.Overrides) -> Frequency | None:
        """Return the schedule in force for these overrides: an own beat entry, else the stored one, else the code's."""
        if overrides.schedule is None or self._home.owner(self.name) is not None:
            return self.default_frequency()
        return from_text(overrides.schedule, minimum=self.definition.min_schedule_frequency, zone=self._home.zone)

    # -- runs

    def run_now(self, slot: datetime | None = None, *, by: str = "run_now") -> model.RunStatus:
        """Run the present slot, or its next generation if it has run, whatever schedule, jitter and `wait` are.

        A past `slot` may be named. Raises `RunOpen` and `ProcessPaused`. Under `task_always_eager` the run has closed when
        this returns.
        """
        slot = None if slot is None else check_instant(slot, argument="slot")
        return self.dispatch.run_now(slot=slot, by=check_text(by, argument="by"))

    def redrive(self, run_id: str, *, by: str = "redrive") -> model.RunStatus:
        """Run those items of a closed run again that did not complete and are still registered.

        Raises `RunNotFound`, `RunPurged`, `RunOpen` and `ProcessPaused`.
        """
        if not isinstance(run_id, str):
            raise InvalidType(
                f"run_id is the id of a run, a str, not {type(run_id).__name__}; pass one of runs().",
                argument="run_id",
                value=run_id,
            )
        return self.dispatch.redrive(run_id, by=check_text(by, argument="by"))

    def cancel_run(self) -> model.RunStatus | None:
        """Stop the open run, if there is one: it ends INCOMPLETE once the items in flight have ended. Return it."""
        run_id = self.dispatch.open_run()
        if run_id is None:
            return None
        self.dispatch.stop(run_id, StopReason.CANCELLED)
        return self.store.run(self.name, run_id)

    def pause(self, note: str = "", *, by: str = "") -> None:
        """Let no slot, page or claim begin until `resume()`; items in flight finish."""
        note, by = check_text(note, argument="note"), check_text(by, argument="by")
        self.dispatch.store.pause(self.name, note=note, by=by)

    def resume(self) -> None:
        """End the pause; an open run goes on at once, and the present slot is triggered if it met the pause."""
        self.dispatch.store.resume(self.name)
        if (run_id := self.dispatch.open_run()) is not None:
            go_on(self.dispatch, run_id)
        trigger_resumed(self.dispatch)

    # -- reading

    def state(self) -> model.ProcessState:
        """Return the process as it is now: schedule, settings, pause, the open or last run, aggregate stats."""
        return self.state_of(self.store.process(self.name))

    def state_of(self, stored: model.StoredProcess) -> model.ProcessState:
        """Return the state of a process that was read from the store already."""
        current = self.in_force(stored.overrides)
        return model.ProcessState(
            name=self.name,
            schedule_frequency=None if current is None else current.value,
            settings=decode(effective(self.definition.settings, stored.overrides.settings)),
            settings_version=stored.overrides.version,
            paused=stored.paused,
            run=stored.run,
            aggregate_stats=stored.aggregate_stats,
            limits=self._limits(stored.limits or Limits()),
        )

    def _limits(self, stored: Limits) -> Limits:
        window, rate = self.definition.max_in_flight, stored.rate_limit or self.definition.rate_limit
        rate = None if rate == NO_RATE else rate
        return replace(stored, max_in_flight=stored.max_in_flight or window, rate_limit=rate)

    def settings_history(self, limit: int = 20) -> tuple[model.SettingsVersion, ...]:
        """Return the versions of the stored settings, newest first; about a hundred are kept."""
        check_count(limit, "limit", 1_000_000)
        return tuple(map(self._version, self.store.settings_history(self.name, limit=limit)))

    def _version(self, stored: model.Overrides) -> model.SettingsVersion:
        minimum, text = self.definition.min_schedule_frequency, stored.schedule
        return model.SettingsVersion(
            version=stored.version,
            settings=None if stored.settings is None else decode(stored.settings),
            schedule_frequency=None if text is None else from_text(text, minimum=minimum, zone=self._home.zone).value,
            changed_at=stored.changed_at,
            by=stored.by,
        )

    def work_counts(self) -> Mapping[WorkList, int]:
        """Return how many items each list has; not constant time on every store."""
        return self.store.work_counts(self.name)

    def works(self, on: WorkList | str = WorkList.ACTIVE) -> Iterator[model.WorkInfo]:
        """Iterate over the items of a list in name order, page by page."""
        chosen = next((one for one in WorkList if one == on), None)
        if chosen is None:
            raise InvalidValue(f"on is one of {', '.join(WorkList)}, not {short_repr(on)}.", argument="on", value=on)
        return self._works(chosen)

    def _works(self, on: WorkList) -> Iterator[model.WorkInfo]:
        after = ""
        while found := self.store.works(self.name, on=on, after=after, limit=PAGE):
            yield from found
            after = found[-1].name

    def work(self, name: str) -> model.WorkInfo:
        """Return one item, or raise `WorkNotFound`."""
        return self.store.work(self.name, check_work_name(name))

    def runs(self) -> Iterator[model.RunStatus]:
        """Iterate over the runs that are kept, newest first."""
        before = None
        while found := self.store.runs(self.name, before=before, limit=PAGE):
            yield from found
            before = found[-1].epoch

    def slots(self) -> Iterator[model.SlotEntry]:
        """Iterate over the ledger of slots, newest first."""
        before = None
        while found := self.store.slots(self.name, before=before, limit=PAGE):
            yield from found
            before = found[-1].slot
