"""The schedules of an app's processes in beat: an entry for each, or a row of its scheduler."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from celery import Celery
from celery.signals import beat_init, before_task_publish, import_modules

from celery_process.beat.entry import ProcessSchedule
from celery_process.beat.rows import ScheduledProcess
from celery_process.beat.stored import REFRESH
from celery_process.beat.sync import RowSync, keeps_rows, rows_of
from celery_process.exceptions import TaskNameTaken
from celery_process.process import Process
from celery_process.schedule import slots
from celery_process.schedule.frequency import once, zone_of
from celery_process.tasks import factory as tasks
from celery_process.tasks.publish import publishing
from celery_process.tasks.registry import place_of


class Registry(Protocol):
    """The part of `Processes` that this module uses."""

    def __iter__(self) -> Iterator[Process]: ...
    @property
    def app(self) -> Celery: ...  # noqa: D102
    def check_names(self) -> None: ...  # noqa: D102


class BeatEntries:
    """The entries of a registry's processes in its app's beat."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._connected = False

    def connect(self, app: Celery) -> None:
        """Add the entries when the app is finalized, and when its beat begins; keeps no reference to either."""
        self._connected = True
        # With an id of its own: before 5.7 Celery compares receivers by their function alone, and keeps the first.
        uid = f"celery_process.{id(self)}"
        app.on_after_finalize.connect(self._on_finalized, dispatch_uid=uid)
        beat_init.connect(self._on_beat, dispatch_uid=uid)
        # `-S` is read by now, and beat has not set up its schedule yet.
        import_modules.connect(self._on_imports, dispatch_uid=uid)

    def check(self) -> None:
        """Raise `TaskNameTaken` for an entry that has the name of a process's own and runs another task."""
        for process in self._registry:
            name = tasks.task_names(process.name)["schedule"]
            task = (self._registry.app.conf.beat_schedule or {}).get(name, {}).get("task", name)
            if task != name:
                place = place_of(process.definition.handler)
                raise TaskNameTaken(
                    f"The entry {name!r} of beat_schedule runs {task!r}; it is the name of the entry of the process "
                    f"{process.name!r} of {place}: give that entry another name.",
                    task=name,
                    ours=place,
                    theirs=task,
                )

    def owner(self, process: str) -> tuple[str, Any] | None:
        """Return the entry of `beat_schedule` that the user made for a process, as (key, schedule)."""
        task = tasks.task_names(process)["schedule"]
        for key, entry in (self._registry.app.conf.beat_schedule or {}).items():
            if entry.get("task") == task and not isinstance(entry.get("schedule"), ProcessSchedule):
                return key, entry.get("schedule")
        return None

    def scheduled(self) -> list[ScheduledProcess]:
        """Return the processes whose schedule a row holds: all but those with an own entry of `beat_schedule`."""
        found = []
        for process in self._registry:
            if self.owner(process.name) is not None:
                continue
            definition = process.definition
            schedule = ProcessSchedule.of(definition, process.default_frequency() or once(slots.NEVER))
            task, zone = tasks.task_names(process.name)["schedule"], zone_of(self._registry.app)
            found.append(ScheduledProcess(process, task, publishing(definition), schedule, zone))
        return found

    def add(self, *processes: Process) -> None:
        """Add or replace the entries of processes; before the app is finalized this does nothing."""
        if not self._connected or not self._registry.app.finalized:
            return
        conf = self._registry.app.conf
        # A new dict: the default of `beat_schedule` is one object for all apps.
        known = conf.beat_schedule or {}
        if keeps_rows(self._registry.app):
            # Such a scheduler writes entries over its rows at each start, edited ones too; `RowSync` makes rows instead.
            kept = {key: entry for key, entry in known.items() if not isinstance(entry.get("schedule"), ProcessSchedule)}
            conf.beat_schedule = kept
            return
        entries = {
            key: entry
            for key, entry in self._entries(processes).items()
            if key not in known or isinstance(known[key].get("schedule"), ProcessSchedule)
        }
        conf.beat_schedule = {**known, **entries}

    def _entries(self, processes: Iterable[Process]) -> dict[str, dict[str, Any]]:
        entries = {}
        for process in processes:
            default = process.default_frequency()
            if default is None or self.owner(process.name) is not None:
                continue
            task = tasks.task_names(process.name)["schedule"]
            entries[task] = {
                "task": task,
                "schedule": ProcessSchedule.of(process.definition, default),
                "options": publishing(process.definition),
            }
        return entries

    def _on_finalized(self, **_: Any) -> None:
        self.add(*self._registry)

    def _on_imports(self, sender: Any, **_: Any) -> None:
        if sender is self._registry.app:
            self.add(*self._registry)

    def _on_beat(self, sender: Any, **_: Any) -> None:
        """Add entries to a beat that was set up from a `beat_schedule` assigned after the app was finalized."""
        if sender.app is not self._registry.app:
            return
        try:
            self._registry.check_names()
        except TaskNameTaken as error:
            raise SystemExit(f"Beat does not start. {error}") from error  # the signal would log any other exception
        for process in self._registry:
            task = tasks.task_names(process.name)["schedule"]
            before_task_publish.connect(tasks.stamp, sender=task, weak=False, dispatch_uid=f"celery_process.{task}")
        rows = rows_of(sender.scheduler)
        scheduled = self.scheduled() if rows is not None else []
        entries = self._entries(self._registry) if rows is None else {}
        if not scheduled and not entries:
            return  # beat stays as it is without this package
        # As a worker does: entries that beat unpickles from its file have no app and take the current one.
        self._registry.app.set_current()
        # 300 s by default, so long a change of a schedule would have no effect.
        sender.scheduler.max_interval = min(sender.scheduler.max_interval, REFRESH)
        if rows is not None:
            RowSync(rows, scheduled).start()
            return
        missing = {key: entry for key, entry in entries.items() if key not in sender.scheduler.schedule}
        if missing:
            sender.scheduler.update_from_dict(missing)
