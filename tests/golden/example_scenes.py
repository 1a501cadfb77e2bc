"""Scenes of the example's Django project, each on a database of its own; `test_example.py` says what has to come of them.

Played by `play`, in an interpreter of its own with Django set up and in eager mode: no broker, no worker.
"""

from __future__ import annotations

import json
import os
import shutil
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import OperationalError, connections, transaction
from django.db.models.signals import pre_delete
from django.test import Client
from django.utils import timezone

from celery_process import Process, Work
from celery_process.exceptions import OwnershipLost
from celery_process.model import RunStatus
from example_project.access.celery import app, processes
from example_project.keys.lifetimes import update_settings
from example_project.keys.models import Key, Project, ServiceAccount
from example_project.realms import processes as handlers
from example_project.realms.models import Identity, Operation, Realm
from example_project.realms.operations import Pen, request, request_removal

app.conf.task_always_eager = True
key_gc, operations = processes["key-gc"], processes["operations"]
HOUR = timedelta(hours=1)


def account(project: str, name: str, ages: list[int], **fields: Any) -> ServiceAccount:
    """Make an account whose keys have ages in hours."""
    made: ServiceAccount = ServiceAccount.objects.create(project=project, email=f"{name}@example.org", **fields)
    Key.objects.bulk_create(Key(account=made, made_at=timezone.now() - age * HOUR) for age in ages)
    return made


def lists(process: Process) -> dict[str, list[str]]:
    """Return the names of each list."""
    return {on: [work.name for work in process.works(on)] for on in ("active", "cleanup", "dropped")}


def trigger(process: Process) -> str:
    """Trigger the process as beat does; return how its newest slot ended."""
    app.tasks[f"{process.name}.schedule"].apply(headers={"celery_beat_task": True}, throw=True)
    return str(next(process.slots()).end.value)


def rolled_back(change: Callable[[], object]) -> None:
    """Make a change in a transaction that is rolled back."""
    with suppress(KeyError), transaction.atomic():
        change()
        raise KeyError


def told(run: RunStatus) -> dict[str, Any]:
    """Return what a run says, without its duration."""
    return {"state": run.state.value, **{name: count for name, count in run.stats.items() if name != "duration"}}


def realm_of(size: int, name: str = "test") -> Realm:
    """Make a realm with so many identities."""
    realm: Realm = Realm.objects.create(name=name)
    Identity.objects.bulk_create(Identity(realm=realm, subject=f"subject-{number}") for number in range(size))
    return realm


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


def realm_removal() -> Any:
    realm_of(6)
    realm_of(2, "other")
    operation = request_removal("test", by="test@example.org")
    work = operations.work(operation.name)
    found: dict[str, Any] = {"queued": [operation.state, work.status.state.value, work.params]}
    assert operation.params == work.params
    run = operations.run_now()
    operation.refresh_from_db()
    found["done"] = [operation.state, operation.items_removed, told(run)]
    found["times"] = operation.requested_at <= operation.started_at <= operation.finished_at
    found["left"] = (
        list(Identity.objects.values_list("realm_id", flat=True)),
        list(Realm.objects.values_list("name", flat=True)),
    )
    found["lists"] = [{on: len(names) for on, names in lists(operations).items()}]
    operations.run_now()
    found["lists"].append({on: len(names) for on, names in lists(operations).items()})
    return found


class Watched(Work):
    """Work that notes how far its operation is, whenever progress is told."""

    noted: list[int]

    def progress(self, *, stop: bool = True) -> Any:
        self.noted = [*getattr(self, "noted", []), Operation.objects.get(name=self.name).items_removed]
        return super().progress(stop=stop)


def realm_batches() -> Any:
    realm_of(1201)
    operation = request_removal("test")
    work = Watched(operation.name, operation.params)
    operations(work)
    return work.noted


def many_operations() -> Any:
    for number in range(60):
        realm_of(1, f"realm-{number}")
        request_removal(f"realm-{number}")
    run = operations.run_now()
    return told(run), sorted(set(Operation.objects.values_list("state", flat=True))), Realm.objects.count()


def realm_wait() -> Any:
    found: dict[str, Any] = {"at first": trigger(operations), "nothing to do": handlers.is_wanted()}
    operation = request_removal(realm_of(1).name)
    found["queued"] = handlers.is_wanted()
    operations.run_now()
    found["worked just now"] = handlers.is_wanted()
    Operation.objects.filter(name=operation.name).update(worked_at=timezone.now() - timedelta(seconds=11))
    found["worked 11 s ago"] = handlers.is_wanted()
    handlers.SELDOM = timedelta(0)
    found["a minute later"] = handlers.is_wanted()
    return found


def unknown_operation() -> Any:
    strange = request("paint-realm", "test", label="paint it")
    empty = request_removal("")
    run = operations.run_now()
    states = [Operation.objects.get(name=name).state for name in (strange.name, empty.name)]
    return [states, told(run), [error.text for error in run.errors], lists(operations)["active"]]


def failing_batch() -> Any:
    realm_of(1100)
    operation = request_removal("test")
    deleted = []

    def refuse(**_: Any) -> None:
        deleted.append(1)
        if len(deleted) > 700:
            raise OperationalError("disk full")

    def now(run: RunStatus) -> list[Any]:
        operation.refresh_from_db()
        return [operation.state, operation.items_removed, Identity.objects.count(), told(run)]

    pre_delete.connect(refuse, sender=Identity)
    first = now(operations.run_now())
    pre_delete.disconnect(refuse, sender=Identity)
    active = lists(operations)["active"] == [operation.name]
    return [first, active, now(operations.run_now())]


def taken_over() -> Any:
    realm_of(3)
    operation = request_removal("test")
    stale = Pen.taken(operation.name, 7)
    assert stale is not None
    fresh = Pen.taken(operation.name, 8)
    assert fresh is not None
    refused = 0
    for write in (partial(stale.removed, 3), partial(stale.ended, "completed")):
        try:
            write()
        except OwnershipLost:
            refused += 1
    rolled_back(lambda: fresh.ended("completed"))
    late = Pen.taken(operation.name, 7)
    work = Work(operation.name, operation.params)  # its token is 1
    operations(work)
    operation.refresh_from_db()
    return [
        refused,
        late,
        operation.state,
        operation.items_removed,
        Identity.objects.count(),
        len(lists(operations)["active"]),
    ]


def withdrawn() -> Any:
    realm_of(3)
    operation = request_removal("test")
    old = Operation.objects.create(
        name="old",
        kind="remove-realm",
        realm="x",
        label="x",
        state="completed",
        finished_at=timezone.now() - timedelta(days=8),
    )
    operations.unregister_work(operation.name)
    operations.run_now()
    operation.refresh_from_db()
    return [operation.state, Identity.objects.count(), Operation.objects.filter(name=old.name).exists()]


def admin() -> Any:
    """Remove a realm by the action of its list, and try what operations do not allow."""
    User.objects.create_superuser("ann", "ann@example.org", "ann")
    browser = Client()
    browser.force_login(User.objects.get())
    realm_of(3)
    chosen = {"action": "remove", "_selected_action": ["test"]}
    answers = [browser.post("/admin/realms/realm/", chosen, follow=True)]
    operation = Operation.objects.get()
    found = [operation.realm, operation.requested_by, lists(operations)["active"] == [operation.name]]
    changes = [f"/admin/realms/operation/{end}" for end in ("add/", f"{operation.name}/delete/")]
    answers += [browser.get(path) for path in (f"/admin/realms/operation/{operation.name}/change/", *changes)]
    return [found, [answer.status_code for answer in answers], "1 operations are queued" in answers[0].content.decode()]


def project() -> Any:
    """Ask Django what it finds: nothing that a migration would have to change, and nothing wrong."""
    call_command("makemigrations", check_changes=True, dry_run=True)
    call_command("check", fail_level="WARNING")
    return "all is well"


SCENES: tuple[Callable[[], Any], ...] = (
    key_run,
    key_totals,
    key_settings,
    key_params,
    key_on_hold,
    key_wait,
    registration,
    realm_removal,
    realm_batches,
    many_operations,
    realm_wait,
    unknown_operation,
    failing_batch,
    taken_over,
    withdrawn,
    admin,
    project,
)


def play() -> None:
    """Play each scene in a child of this interpreter; what came of it goes to NAME.json, what went wrong to NAME.error."""
    call_command("migrate", verbosity=0)
    connections.close_all()
    for scene in SCENES:
        if child := os.fork():
            os.waitpid(child, 0)
            continue
        file = Path(shutil.copy(settings.DATABASES["default"]["NAME"], settings.FOLDER / f"{scene.__name__}.sqlite3"))
        connections["default"].settings_dict["NAME"] = file
        try:
            text, suffix = json.dumps(scene()), ".json"
        except BaseException:
            text, suffix = traceback.format_exc(), ".error"
        file.with_suffix(suffix).write_text(text)
        os._exit(0)


if __name__ == "__main__":
    play()
