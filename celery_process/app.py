"""`Processes`, the registry of an app: the one module that knows all parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, ref

from celery import Celery

from celery_process import shared
from celery_process.beat.entries import BeatEntries
from celery_process.config import Config, read_config, store_of, use_store
from celery_process.definition.options import Handler, define
from celery_process.engine.late import LateSlots
from celery_process.engine.port import Port
from celery_process.engine.removed import RemovedProcess, removed
from celery_process.engine.sweep import sweep, with_budget
from celery_process.engine.worker import Worker, handlers_of
from celery_process.exceptions import (
    ConfigurationError,
    DuplicateProcess,
    InvalidType,
    ProcessNotFound,
    TaskNameTaken,
    short_repr,
)
from celery_process.process import Process
from celery_process.protocol.model import Overrides
from celery_process.protocol.tolerance import Tolerance
from celery_process.schedule.frequency import zone_of
from celery_process.stores.base import Store
from celery_process.stores.warning import StoreWarning
from celery_process.tasks import factory as tasks
from celery_process.tasks.publish import CeleryPort, publishing
from celery_process.tasks.registry import ProcessTasks, place_of
from celery_process.tasks.required import check_required
from celery_process.tasks.shutdown import ShutdownNote
from celery_process.tasks.starting import start_check
from celery_process.tasks.sweep_timer import SWEEP_TASK, SweepTimer, make_sweep_task, sweep_budget

_by_app: WeakKeyDictionary[Celery, ref[Processes]] = WeakKeyDictionary()
"""An app keeps its registry alive by its tasks; a strong reference here would keep the app alive too."""


class Processes:
    """The processes of a Celery app.

    `backend` is the URL of the store (`process_backend` in `app.conf`), or an open store, for tests with a clock of their
    own. Nothing connects and nothing is written before a process is used.
    """

    def __init__(self, app: Celery | None = None, *, backend: str | Store | None = None) -> None:
        if backend is not None and not isinstance(backend, str | Store):
            raise InvalidType(
                f"backend is the URL of a store or an open Store, not {type(backend).__name__}.",
                argument="backend",
                value=backend,
            )
        self._processes: dict[str, Process] = {}
        self._backend = backend
        self._app: Celery | None = None
        self._ports: dict[str, CeleryPort] = {}
        self._entries = BeatEntries(self)
        self._late_slots = LateSlots(lambda name, stored: self[name].in_force(Overrides(schedule=stored)))
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Celery) -> None:
        """Add this registry to an app: its tasks, its beat entries, the sweep of its workers."""
        if self._app is not None:
            raise ConfigurationError("This Processes has an app already; make one for each app.")
        if not isinstance(app, Celery):
            raise InvalidType(f"Processes takes a Celery app, not {type(app).__name__}.", argument="app", value=app)
        if app in _by_app:
            raise ConfigurationError("This app has a Processes already; define all processes of an app with one.")
        self._app = app
        _by_app[app] = ref(self)
        if isinstance(self._backend, Store):
            use_store(app, self._backend)
        elif self._backend is not None:
            app.conf.process_backend = self._backend
        app.steps["consumer"].add(SweepTimer)
        app.steps["worker"].add(ShutdownNote)
        self._tasks = ProcessTasks(app, entries=self._entries.check)
        app.steps["worker"].add(start_check(self._check_start))
        self._tasks.reserve([SWEEP_TASK], __name__)
        # Checked when Celery binds all tasks: the last step of finalizing from which an error is raised on.
        make_sweep_task(app, self.sweep, bound=self._tasks.check)
        self._tasks.connect()
        self._entries.connect(app)
        for process in list(self._processes.values()):
            self._adopt(process)
        shared.adopt_all(self)

    @property
    def app(self) -> Celery:
        """The Celery app."""
        if self._app is None:
            raise ConfigurationError("This Processes has no app yet; call init_app(app) first.")
        return self._app

    @property
    def store(self) -> Store:
        """The store that `process_backend` names now, opened at its first use."""
        return store_of(self.app)

    # -- definitions

    def process(
        self,
        name: str,
        *,
        schedule: Any,
        settings: Mapping[str, Any] | None = None,
        tolerance: Tolerance = Tolerance(10, 25),  # noqa: B008 - frozen
        overlap: str = "skip",
        batch_size: int | str = 1,
        batch_duration: Any = 1,
        max_in_flight: int = 1000,
        rate_limit: str | float | None = None,
        lease: Any = 30,
        time_limit: Any = None,
        progress_frequency: Any = None,
        min_schedule_frequency: Any = 1,
        initial_wait: Any = 0,
        jitter: Any = 0,
        rerun_on_change: bool = False,
        task_options: Mapping[str, Any] | None = None,
    ) -> Callable[[Handler | type[Worker] | Worker], Process]:
        """Decorate the handler for active work, a function or a `Worker`; return the `Process`.

        `schedule`: seconds, a timedelta, or Celery's schedule or crontab; None: each trigger makes a slot.
        `settings`: the defaults; stored settings win over them (B5). `overlap`: "skip" or "replace" the open run.
        `batch_size`: items a message, or "auto": as many as take about `batch_duration`, by the measured time of the items.
        `max_in_flight`: items out at once. `rate_limit`: items sent, by all workers together: a number a second, "10/m" or
        "5/h". `Process.update_limits` changes both in mid-run.
        `lease`, `time_limit` and the other durations: seconds or timedeltas.
        `jitter`: an upper bound, the same for every beat. `rerun_on_change`: a slot runs again when settings or
        registrations changed since its run began (B12). `task_options`: for the Celery tasks of the process.
        """
        options = {key: value for key, value in locals().items() if key not in ("self", "name")}

        def decorate(target: Handler | type[Worker] | Worker) -> Process:
            return self._define(name, options, target)

        return decorate

    def _define(self, name: str, options: Mapping[str, Any], target: Any) -> Process:
        handlers = handlers_of(target)
        definition = define(name, handlers["handler"], options)
        tasks.check_base(definition.task_options.get("base"))
        if definition.name in self._processes:
            raise DuplicateProcess(f"The process {name!r} is defined already; give this one another name.", process=name)
        process = Process(definition, _Home(self, self._entries, self._ports))
        if "cleanup" in handlers:
            process.cleanup(handlers["cleanup"])
        if "wait" in handlers:
            process.wait(handlers["wait"])
        self._processes[definition.name] = process
        if self._app is not None:
            self._adopt(process)
        return process

    def _adopt(self, process: Process) -> None:
        port = self._ports[process.name] = CeleryPort(self.app, process, self._tasks)
        make = partial(tasks.make_tasks, self.app, port)
        names = tasks.task_names(process.name).values()
        try:
            self._tasks.add(process.name, names, place_of(process.definition.handler), make)
        except TaskNameTaken:
            del self._processes[process.name], self._ports[process.name]
            raise
        self._entries.add(process)

    def define_shared(self, pending: shared.SharedProcess) -> None:
        """Define a process of a reusable app here; called by `shared_process`."""
        process = self._define(pending.name, pending.options, pending.target)
        for decorate in pending.decorations:
            decorate(process)

    # -- the app as a whole

    def __getitem__(self, name: str) -> Process:
        try:
            return self._processes[name]
        except (KeyError, TypeError):  # a list is no key
            known = ", ".join(sorted(self._processes)) or "none"
            raise ProcessNotFound(
                f"This app defines no process {short_repr(name)} (it has: {known}); import the module that does.",
                process=name,
                known=tuple(sorted(self._processes)),
            ) from None

    def __iter__(self) -> Iterator[Process]:
        return iter(sorted(self._processes.values(), key=lambda process: process.name))

    def __len__(self) -> int:
        return len(self._processes)

    def __contains__(self, name: object) -> bool:
        return name in self._processes

    def removed(self) -> tuple[RemovedProcess, ...]:
        """Return the processes that have an open run in the store and that this app's code does not define."""
        return removed(self.store, self._processes)

    def sweep(self, *, force: bool = False, within: timedelta | None = None) -> tuple[str, ...]:
        """Repair open runs and trigger late slots, at most once per `process_sweep_interval` unless forced.

        Return the processes that it took. `within`: how long to wait for the store and the broker in all, a quarter of it
        for the first answer; the next sweep goes on. Without it the drivers' own timeouts hold.
        """
        dispatches = {process.name: process.dispatch for process in self}
        # Eager mode stays in the caller's thread, in whose transaction it may run.
        budget = None if within is None or self.app.conf.task_always_eager else sweep_budget(within)
        if budget is not None:
            dispatches = {name: with_budget(dispatch, budget) for name, dispatch in dispatches.items()}
        swept = sweep(dispatches, interval=timedelta(0) if force else None, budget=budget)
        turns = {target.process: target.last_sweep for target in swept}
        return tuple(dict.fromkeys((*turns, *self._late_slots.trigger_late(dispatches, swept=turns))))

    def migrate(self) -> tuple[str, ...]:
        """Migrate the store's tables to this version; return what was done, one line each."""
        return self.store.migrate()

    def _check_start(self) -> None:
        self.check_names()
        self.check_settings()

    def check_settings(self) -> None:
        """Check the `process_*` settings, and those of Celery that processes depend on; raises `ConfigurationError`."""
        read_config(self.app)
        messages: dict[str, Mapping[str, Any]] = {SWEEP_TASK: {}}
        for process in self:
            messages.update(dict.fromkeys(tasks.task_names(process.name).values(), publishing(process.definition)))
        check_required(self.app, messages)

    def check_names(self) -> None:
        """Raise `TaskNameTaken` if another task or beat entry of the app has a name of a process's own."""
        self._tasks.check()

    def check(self) -> tuple[StoreWarning, ...]:
        """Check the settings and the store; return its warnings. Raises `ConfigurationError` or `StoreUnavailable`."""
        read_config(self.app)
        return self.store.check()


@dataclass(frozen=True, slots=True)
class _Home:
    """The `Home` of the processes of a registry (see `celery_process.engine.home`)."""

    registry: Processes
    entries: BeatEntries
    ports: Mapping[str, CeleryPort]

    @property
    def store(self) -> Store:
        return self.registry.store

    @property
    def config(self) -> Config:
        return read_config(self.registry.app)

    @property
    def zone(self) -> tzinfo:
        return zone_of(self.registry.app)

    def port(self, process: str) -> Port:
        return self.ports[process]

    def owner(self, process: str) -> tuple[str, Any] | None:
        return self.entries.owner(process)

    def rescheduled(self, process: str) -> None:
        self.entries.add(self.registry[process])


def registries() -> tuple[Processes, ...]:
    """Return the registries of all apps of this interpreter; usually there is one."""
    return tuple(found for known in tuple(_by_app.values()) if (found := known()) is not None)  # one without processes too


def registry_of(app: Celery) -> Processes | None:
    """Return the registry of an app, or None if it has none."""
    known = _by_app.get(app)
    return None if known is None else known()
