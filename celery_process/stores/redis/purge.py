"""Deletion past the retention, in steps: items of closed runs, runs, dropped registrations, the ledger's tail."""

from __future__ import annotations

from celery_process.protocol.model import Retention
from celery_process.stores.redis.client import Client
from celery_process.stores.redis.items import MICROSECOND
from celery_process.stores.redis.keys import CHUNK


def purge(client: Client, process: str, *, retention: Retention, limit: int) -> int:
    """Delete up to about `limit` rows; return how many. The items of one run are deleted at once, however many they are."""
    steps = (
        ("purge_runs", (retention.runs, min(retention.runs, retention.runs_with_items))),
        ("purge_dropped", (retention.dropped_for // MICROSECOND, retention.dropped)),
        ("purge_slots", (retention.slots,)),
    )
    # A run that closes meanwhile requests a purge again.
    client.call("purge", "purge_due", process, 0)
    deleted = 0
    for name, limits in steps:
        while deleted < limit:
            done = int(client.call("purge", name, process, *limits, min(CHUNK, limit - deleted)))
            deleted += done
            if not done:
                break
    if deleted >= limit:
        client.call("purge", "purge_due", process, 1)
    return deleted
