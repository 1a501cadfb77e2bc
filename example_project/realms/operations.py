"""What is asked of operations from outside their runs, and the pen that their handler writes with."""

from __future__ import annotations

from typing import Any, Self
from uuid import uuid4

from django.db import models, transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from celery_process.exceptions import OwnershipLost
from example_project.access.celery import processes
from example_project.realms.models import Operation, State

REMOVE_REALM = "remove-realm"


def request_removal(realm: str, *, by: str = "") -> Operation:
    """Queue the removal of a realm and register it, both or neither, within the caller's transaction if there is one."""
    return request(REMOVE_REALM, realm, label=f'remove realm "{realm}"', by=by)


def request(kind: str, realm: str, *, label: str, by: str = "") -> Operation:
    """Queue an operation."""
    with transaction.atomic():
        operation: Operation = Operation.objects.create(
            name=f"{kind}-{realm}-{uuid4().hex[:8]}", kind=kind, realm=realm, label=label, requested_by=by
        )
        processes["operations"].register_work(operation.name, operation.params, using="default")
    return operation


class Pen:
    """Writes to an operation until somebody with a higher fencing token has: a worker that was given up writes nothing."""

    def __init__(self, name: str, token: int) -> None:
        self.name, self.token = name, token

    @classmethod
    def taken(cls, name: str, token: int) -> Self | None:
        """Begin to work on an operation; return None if it is gone, or somebody else's by now."""
        now = timezone.now()
        found = Operation.objects.filter(name=name, fence__lt=token).update(
            fence=token, state=State.ACTIVE, started_at=Coalesce("started_at", now), worked_at=now
        )
        return cls(name, token) if found else None

    def write(self, **values: Any) -> None:
        """Change the operation; raises `OwnershipLost` where it is somebody else's."""
        if not Operation.objects.filter(name=self.name, fence=self.token).update(worked_at=timezone.now(), **values):
            raise OwnershipLost(f"{self.name} was taken over; return and write nothing.")

    def removed(self, count: int) -> None:
        """Add to what was removed."""
        self.write(items_removed=models.F("items_removed") + count)

    def ended(self, state: str) -> None:
        """Write how the operation ended and take it off the active list, both or neither."""
        with transaction.atomic():
            self.write(state=state, finished_at=timezone.now())
            processes["operations"].unregister_work(self.name, using="default")
