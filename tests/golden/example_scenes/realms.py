"""Scenes of realms and operations."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.db.models.signals import pre_delete
from django.test import Client
from django.utils import timezone

from celery_process import Work
from celery_process.exceptions import OwnershipLost
from celery_process.protocol.model import RunStatus
from example_project.realms import processes as handlers
from example_project.realms.models import Identity, Operation, Realm
from example_project.realms.operations import Pen, request, request_removal

from .stage import lists, operations, rolled_back, told, trigger


def realm_of(size: int, name: str = "test") -> Realm:
    """Make a realm with so many identities."""
    realm: Realm = Realm.objects.create(name=name)
    Identity.objects.bulk_create(Identity(realm=realm, subject=f"subject-{number}") for number in range(size))
    return realm


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
    assert Pen.taken(operation.name, 8) is not None
    refused = 0
    for write in (partial(stale.removed, 3), partial(stale.ended, "completed")):
        try:
            write()
        except OwnershipLost:
            refused += 1
    again = [Pen.taken(operation.name, token) for token in (7, 8)]
    operations(Work(operation.name, operation.params))  # its token is 1
    operation.refresh_from_db()
    left = [operation.state, operation.items_removed, Identity.objects.count(), len(lists(operations)["active"])]
    return [refused, again, left]


def half_an_end() -> Any:
    """End an operation while the store cannot take it off its list, and in a transaction that is rolled back."""
    operation = request_removal("test")
    pen = Pen.taken(operation.name, 1)
    assert pen is not None
    rolled_back(partial(pen.ended, "completed"))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE cp_work RENAME TO elsewhere")
    try:
        pen.ended("completed")
    except Exception as error:
        failed = type(error).__name__
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE elsewhere RENAME TO cp_work")
    operation.refresh_from_db()
    return [failed, operation.state, len(lists(operations)["active"])]


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
