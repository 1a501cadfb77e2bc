"""The process `operations`: each operation is a work item that is worked on in runs until it has ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from celery_process import Work, shared_process
from celery_process.exceptions import OwnershipLost
from example_project.access.celery import processes
from example_project.realms.models import OPEN, Identity, Operation, Realm, State
from example_project.realms.operations import REMOVE_REALM, Pen

BATCH = 500
AT_ONCE = 25
WAKE, SELDOM = timedelta(seconds=5), timedelta(minutes=1)
AWAKE = timedelta(seconds=10)
"""For so long after the last work each slot runs, since more of it tends to come."""
KEPT = timedelta(days=7)


class CannotDo(Exception):
    """No worker knows how to do this, so it is not tried again."""


@shared_process("operations", schedule=WAKE, max_in_flight=AT_ONCE)
def operate(work: Work) -> None:
    """Do the operation `work.name`. An error leaves it incomplete, for the next run to go on."""
    pen = Pen.taken(work.name, work.fencing_token)
    if pen is None:
        return
    try:
        known(work.params.get("operation"))(work, pen)
    except OwnershipLost:
        raise
    except CannotDo:
        pen.ended(State.ABORTED)
        raise
    except Exception:
        pen.write(state=State.INCOMPLETE)
        raise
    pen.ended(State.COMPLETED)


def known(kind: str | None) -> Callable[[Work, Pen], None]:
    """Return what does operations of a kind; raises `CannotDo`."""
    if kind != REMOVE_REALM:
        raise CannotDo(f"There is no operation {kind!r}")
    return remove_realm


def remove_realm(work: Work, pen: Pen) -> None:
    """Delete the identities of a realm in batches, telling the progress after each, and then the realm."""
    realm = work.params.get("realm")
    if not realm:
        raise CannotDo("No realm is named")
    identities = Identity.objects.filter(realm=realm)
    while batch := list(identities.values_list("pk", flat=True)[:BATCH]):
        with transaction.atomic():
            pen.removed(len(batch))
            Identity.objects.filter(pk__in=batch).delete()
        work.add_stats("removeRealm.itemsRemoved", len(batch))
        work.progress()
    Realm.objects.filter(name=realm).delete()


@operate.cleanup
def forget(work: Work) -> None:
    """Close an operation that was withdrawn before it ended; forget those that ended a week ago."""
    Operation.objects.filter(name=work.name, state__in=OPEN).update(state=State.ABORTED, finished_at=timezone.now())
    Operation.objects.exclude(state__in=OPEN).filter(finished_at__lt=timezone.now() - KEPT).delete()


@operate.wait
def is_wanted() -> bool:
    """Run at every slot while there is work, and shortly after it; else once a minute."""
    now = timezone.now()
    if Operation.objects.filter(Q(state__in=OPEN) | Q(worked_at__gt=now - AWAKE)).exists():
        return True
    last = processes["operations"].state().run
    return last is None or last.started_at <= now - SELDOM
