"""The process `key-gc`: in each project, keep the newest keys of each account and remove those past their time."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from celery_process import ErrorAction, Work, shared_process
from example_project.keys.lifetimes import SECOND, lifetimes
from example_project.keys.models import AccountOnHold, Key, ServiceAccount


@shared_process("key-gc", schedule=timedelta(hours=1), settings=lifetimes(timedelta(hours=10), 10))
def collect_keys(work: Work) -> None:
    """Look at each account of the project `work.name`; one on hold is an error of the item, and the others go on."""
    for account in managed(work.name):
        ttl, keep = work.params["keyTtl"] * SECOND, work.params["keysPerAccount"]
        work.add_stats("accounts")
        try:
            kept, removed = rotate(account, ttl=ttl, keep=keep)
        except AccountOnHold as error:
            if work.add_error(error) is ErrorAction.ABORT:
                return
            continue
        work.add_stats("keysKept", kept)
        work.add_stats("keysRemoved", removed)
        work.progress()


@collect_keys.cleanup
def remove_accounts(work: Work) -> None:
    """Remove the accounts of a project that is gone; while one cannot be removed, the item stays to be cleaned up."""
    for account in managed(work.name):
        try:
            account.refuse_on_hold()
        except AccountOnHold as error:
            work.add_stats("accountsDirty")
            if work.add_error(error) is ErrorAction.ABORT:
                return
            continue
        account.delete()
        work.add_stats("accountsRemoved")
        work.progress()


def managed(project: str) -> QuerySet[ServiceAccount]:
    """Return the accounts of a project that this system made."""
    return ServiceAccount.objects.filter(project=project, managed=True)


def rotate(account: ServiceAccount, *, ttl: timedelta, keep: int) -> tuple[int, int]:
    """Remove the keys that are past their time, and the oldest of more than `keep`; return how many stay and how many go."""
    newest = Key.objects.filter(account=account).order_by("-made_at", "-pk")
    good = newest.filter(made_at__gt=timezone.now() - ttl).values_list("pk", flat=True)[:keep]
    kept = set(good)
    gone = [pk for pk in newest.values_list("pk", flat=True) if pk not in kept]
    if gone:
        account.refuse_on_hold()
    Key.objects.filter(pk__in=gone).delete()
    return len(kept), len(gone)
