"""The entries of redbeat: a hash a task in Redis, sorted by when they are due."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from redbeat.decoder import RedBeatJSONDecoder, RedBeatJSONEncoder
from redbeat.schedulers import get_redis
from redis.exceptions import WatchError

from celery_process.beat.entry import ProcessSchedule
from celery_process.beat.merge import Agreed
from celery_process.beat.rows import REMEMBERED, Row, Rows, ScheduledProcess, name_taken
from celery_process.exceptions import InvalidValue
from celery_process.schedule.frequency import Frequency, frequency, from_text
from celery_process.schedule.slots import Calendar, Interval


class RedBeatRows(Rows):
    """The entries that a `RedBeatScheduler` reads; they have no time of change."""

    by = "redbeat"

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._redis = get_redis(scheduler.app)

    def _key(self, task: str) -> str:
        key: str = self._scheduler.Entry.generate_key(self._scheduler.app, task)
        return key

    def align(self, schedules: Mapping[str, ProcessSchedule]) -> None:
        """Set a class of entries that use these schedules."""

        class AlignedEntry(self._scheduler.Entry):  # type: ignore[name-defined]
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                if self.task in schedules:
                    self.schedule = schedules[self.task]

        self._scheduler.Entry = AlignedEntry

    def as_stored(self, schedule: Frequency) -> Frequency:
        """Return a crontab in the app's zone, since an entry keeps no zone. Raises for a kind that no entry can keep."""
        if isinstance(schedule.occurrences, Interval):
            return schedule
        if not isinstance(schedule.occurrences, Calendar):
            raise InvalidValue(
                f"redbeat has no entry for {schedule.text}; give an interval or a crontab.",
                argument="schedule",
                value=schedule.text,
            )
        document = json.loads(schedule.text)
        document["crontab"].pop("zone", None)
        return from_text(json.dumps(document), minimum=timedelta(0))

    def find(self, tasks: Collection[str]) -> Mapping[str, Any]:
        """Return the entries of these tasks, each with what it remembers."""
        with self._redis.pipeline(transaction=False) as pipe:
            for task in tasks:
                pipe.hmget(self._key(task), "definition", REMEMBERED)
            return {task: found for task, found in zip(tasks, pipe.execute(), strict=True) if found[0]}

    def read(self, scheduled: ScheduledProcess, found: Any) -> Row:
        """Return the entry of a process."""
        text, remembered = found
        definition = json.loads(text, cls=RedBeatJSONDecoder)
        if definition["task"] != scheduled.task:
            raise name_taken(scheduled, definition["task"])
        minimum = scheduled.process.definition.min_schedule_frequency
        schedule = frequency(definition["schedule"], minimum=minimum, zone=scheduled.zone)
        return Row(text, schedule, definition.get("enabled", True), Agreed.from_text(remembered))

    def create(self, scheduled: ScheduledProcess, schedule: Frequency, *, enabled: bool) -> None:
        """Make the entry of a process."""
        definition = {
            "name": scheduled.task,
            "task": scheduled.task,
            "args": [],
            "kwargs": {},
            "options": dict(scheduled.options),
            "enabled": enabled,
        }
        agreed = Agreed(self.as_stored(schedule).text, schedule.text, not enabled)
        self._change(scheduled, None, definition, schedule, agreed)

    def write(
        self, scheduled: ScheduledProcess, row: Row, *, schedule: Frequency | None, enabled: bool | None, agreed: Agreed
    ) -> None:
        """Change an entry, unless it changed since it was read."""
        definition = json.loads(row.found, cls=RedBeatJSONDecoder)
        if enabled is not None:
            definition["enabled"] = enabled
        self._change(scheduled, row.found, definition, schedule, agreed)

    def _change(
        self,
        scheduled: ScheduledProcess,
        found: str | None,
        definition: dict[str, Any],
        schedule: Frequency | None,
        agreed: Agreed,
    ) -> None:
        key, known = self._key(scheduled.task), self._scheduler.app.redbeat_conf.schedule_key
        if schedule is not None:
            definition["schedule"] = schedule.celery_schedule()
        text = json.dumps(definition, cls=RedBeatJSONEncoder)
        with self._redis.pipeline() as pipe:
            try:
                pipe.watch(key)
                if pipe.hget(key, "definition") != found:
                    return
                pipe.multi()
                pipe.hset(key, REMEMBERED, agreed.text)
                pipe.hsetnx(key, "meta", json.dumps({"last_run_at": None}))
                if schedule is not None or found is None:
                    # redbeat looks at the entry then; its schedule decides whether it is due.
                    pipe.zadd(known, {key: int(time.time())})
                if schedule is not None or definition != json.loads(found or "{}", cls=RedBeatJSONDecoder):
                    pipe.hset(key, "definition", text)
                pipe.execute()
            except WatchError:
                return
