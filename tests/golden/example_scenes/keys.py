"""Scenes of keys and projects."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from example_project.keys.lifetimes import update_settings
from example_project.keys.models import Key, Project, ServiceAccount

from .stage import key_gc, lists, rolled_back, told, trigger

HOUR = timedelta(hours=1)


def account(project: str, name: str, ages: list[int], **fields: Any) -> ServiceAccount:
    """Make an account whose keys have ages in hours."""
    made: ServiceAccount = ServiceAccount.objects.create(project=project, email=f"{name}@example.org", **fields)
    Key.objects.bulk_create(Key(account=made, made_at=timezone.now() - age * HOUR) for age in ages)
    return made


def two_projects() -> None:
    """Set the stage of the original's test: one project stays and one goes, each with two accounts made here, one not."""
    for project in ("test_process", "bad"):
        account(project, f"{project}.frank", [1, 30, 40])
        account(project, f"{project}.mary", [50, 60], managed=False)
        account(project, f"{project}.yvonne", [2, 30, 40])
    key_gc.register_work("test_process", {"foo": 1, "bar": 2})
    Project.objects.create(name="bad")
    Project.objects.get(name="bad").delete()


def key_run() -> Any:
    two_projects()
    run = key_gc.run_now()
    return {"run": told(run), "lists": lists(key_gc), "keys": counted()}


def counted() -> dict[str, int]:
    """Return how many keys each account has."""
    return {found.email.split("@")[0]: found.keys.count() for found in ServiceAccount.objects.all()}


def key_totals() -> Any:
    document = settings.FOLDER / "document.json"
    stats = {"runs": 993, "state.completed": 990, "state.incomplete": 2, "state.aborted": 1, "errors": 10, "workItems": 3}
    keys = {"accounts": 198, "accountsRemoved": 43, "keysKept": 111, "keysRemoved": 1999}
    aggregates = {**stats, "workItemsCleaned": 1, **{f"work.{name}": count for name, count in keys.items()}}
    document.write_text(json.dumps({"processName": "key-gc", "aggregateStats": aggregates}))
    with suppress(SystemExit):
        call_command("celery_process", "import", str(document))
    two_projects()
    key_gc.run_now()
    return {name: count for name, count in key_gc.state().aggregate_stats.items() if name != "duration"}


def key_settings() -> Any:
    def now() -> list[Any]:
        return [key_gc.schedule_frequency.total_seconds(), key_gc.state().settings]

    found = {"at first": now()}
    returned = update_settings(100 * HOUR, 6)
    found["100 h, 6 keys"] = now()
    assert returned == key_gc.schedule_frequency
    update_settings(103 * HOUR, 6)
    found["103 h, 6 keys"] = now()
    rolled_back(lambda: update_settings(HOUR, 1, using="default"))
    found["rolled back"] = now()
    return found


def key_params() -> Any:
    update_settings(10 * HOUR, 4)
    account("plain", "plain", [*range(8), 30])
    account("own", "own", [*range(8), 30])
    Project.objects.create(name="plain")
    own = Project.objects.create(name="own", keys_per_account=2)
    found = {"kept": (told(key_gc.run_now()), counted())}
    own.keys_per_account = 1
    own.save()
    return {**found, "after a change": (told(key_gc.run_now()), counted())}


def key_on_hold() -> Any:
    held = account("gone", "held", [1], on_hold=True)
    account("gone", "free", [1])
    account("here", "here.held", [1, 30], on_hold=True)
    account("here", "here.free", [1, 30])
    Project.objects.create(name="here")
    Project.objects.create(name="gone").delete()
    first = [told(key_gc.run_now()), lists(key_gc), counted()]
    ServiceAccount.objects.filter(pk=held.pk).update(on_hold=False)
    return [first, [told(key_gc.run_now()), lists(key_gc), counted()]]


def key_wait() -> Any:
    answers = [True, False]
    key_gc.wait(lambda: answers.pop())
    return [trigger(key_gc), trigger(key_gc)]


def registration() -> Any:
    rolled_back(lambda: Project.objects.create(name="never"))
    kept = Project.objects.create(name="kept")
    rolled_back(kept.delete)
    before = lists(key_gc)
    Project.objects.filter(name="kept").delete()
    return [before, lists(key_gc)]
