"""Where a person edits the rows of a scheduler, by the scheduler's own means; a line of JSON asks, a line answers."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any

TASK = "prices.schedule"


class Django:
    """Edits as the Django admin does: by saving models."""

    def __init__(self) -> None:
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        from django_celery_beat import models

        self._models = models

    def _row(self) -> Any:
        return self._models.PeriodicTask.objects.filter(task=TASK).first()

    def row(self) -> Any:
        row = self._row()
        return None if row is None else {"every": row.schedule.run_every.total_seconds(), "enabled": row.enabled}

    def changed(self) -> str:
        return str(self._row().date_changed)

    def tasks(self) -> list[str]:
        return sorted(self._models.PeriodicTask.objects.values_list("task", flat=True))

    def edit(self, every: int) -> None:
        row = self._row()
        row.interval = self._models.IntervalSchedule.objects.get_or_create(every=every, period="seconds")[0]
        row.save()

    def enable(self, enabled: bool) -> None:
        row = self._row()
        row.enabled = enabled
        row.save()

    def quietly(self, enabled: bool) -> None:
        """Change a row so that no signal is sent."""
        self._models.PeriodicTask.objects.filter(task=TASK).update(enabled=enabled)

    def add(self, name: str, every: int) -> None:
        interval = self._models.IntervalSchedule.objects.create(every=every, period="seconds")
        self._models.PeriodicTask.objects.create(name=name, task=TASK, interval=interval)

    def at(self, instant: str) -> None:
        """Make a clocked row for the process that has no schedule in the code."""
        clock = self._models.ClockedSchedule.objects.create(clocked_time=datetime.fromisoformat(instant))
        self._models.PeriodicTask.objects.create(name="once", task="stock.schedule", clocked=clock, one_off=True)

    def names(self) -> list[str]:
        return sorted(self._models.PeriodicTask.objects.filter(task=TASK).values_list("name", flat=True))


class RedBeat:
    """Edits as redbeat's users do: by saving entries."""

    def __init__(self) -> None:
        from redbeat import RedBeatSchedulerEntry
        from redbeat.schedulers import ensure_conf, get_redis

        from tests.acceptance.apps.bazaar import app

        self._app, self._class, self._conf = app, RedBeatSchedulerEntry, ensure_conf(app)
        self._redis = get_redis(app)

    def _entry(self) -> Any:
        return self._class.from_key(self._conf.key_prefix + TASK, app=self._app)

    def row(self) -> Any:
        try:
            entry = self._entry()
        except KeyError:
            return None
        return {"every": entry.schedule.run_every.total_seconds(), "enabled": entry.enabled}

    def names(self) -> list[str]:
        return [key.removeprefix(self._conf.key_prefix) for key in self._redis.zrange(self._conf.schedule_key, 0, -1)]

    tasks = names

    def changed(self) -> None:
        """Return nothing: an entry has no time of change."""

    def edit(self, every: int) -> None:
        from celery.schedules import schedule

        entry = self._entry()
        entry.schedule = schedule(every, app=self._app)
        entry.save()

    def enable(self, enabled: bool) -> None:
        entry = self._entry()
        entry.enabled = enabled
        entry.save()


class SqlAlchemy:
    """Edits as the package's users do: by a session."""

    def __init__(self) -> None:
        from sqlalchemy_celery_beat import models
        from sqlalchemy_celery_beat.session import SessionManager

        from tests.acceptance.apps.bazaar import app

        self._models, manager = models, SessionManager()
        engine, self._session = manager.create_session(app.conf.beat_dburi)
        manager.prepare_models(engine)

    def _row(self, session: Any) -> Any:
        return session.query(self._models.PeriodicTask).filter_by(task=TASK).first()

    def row(self) -> Any:
        with self._session() as session:
            row = self._row(session)
            return None if row is None else {"every": row.schedule.run_every.total_seconds(), "enabled": row.enabled}

    def changed(self) -> str:
        with self._session() as session:
            return str(self._row(session).date_changed)

    def tasks(self) -> list[str]:
        with self._session() as session:
            return [row.task for row in session.query(self._models.PeriodicTask)]

    def names(self) -> list[str]:
        with self._session() as session:
            return [row.name for row in session.query(self._models.PeriodicTask).filter_by(task=TASK)]

    def edit(self, every: int) -> None:
        with self._session() as session:
            interval = self._models.IntervalSchedule(every=every, period=self._models.Period.SECONDS)
            session.add(interval)
            session.flush()
            self._row(session).schedule_model = interval
            session.commit()

    def enable(self, enabled: bool) -> None:
        with self._session() as session:
            self._row(session).enabled = enabled
            session.commit()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    from tests.acceptance.apps import bazaar  # noqa: F401 - sets Django up

    desk = {"django": Django, "redbeat": RedBeat, "sqlalchemy": SqlAlchemy}[sys.argv[1]]()
    _say("open")
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        _say(json.dumps(getattr(desk, verb)(*arguments)))
