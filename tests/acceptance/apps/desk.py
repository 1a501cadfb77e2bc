"""Where a person edits the rows of a scheduler, by the scheduler's own means; a line of JSON asks, a line answers."""

from __future__ import annotations

import json
import sys
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

    def names(self) -> list[str]:
        return sorted(self._models.PeriodicTask.objects.filter(task=TASK).values_list("name", flat=True))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    from tests.acceptance.apps import bazaar  # noqa: F401 - sets the scheduler up

    desk = {"django": Django}[sys.argv[1]]()
    _say("open")
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        _say(json.dumps(getattr(desk, verb)(*arguments)))
