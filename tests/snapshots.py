"""All that a store has, in a form that two of are equal if and only if nothing was written between them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import sqlalchemy as sa
from redis import Redis

from celery_process.stores.base import Store
from celery_process.stores.memory import MemoryStore
from celery_process.stores.redis import RedisStore
from celery_process.stores.sql import SqlStore


def snapshot(store: Store) -> Any:
    """Return a copy of what the memory store keeps, all rows of a database's tables, or a DUMP of each key."""
    if isinstance(store, MemoryStore):
        kept = getattr(store, "kept", None)
        return deepcopy(store._processes if kept is None else kept)
    if isinstance(store, SqlStore):
        tables = store._db.tables.process.metadata.sorted_tables
        with store._db.engine.connect() as conn:
            return {table.name: sorted(map(repr, conn.execute(sa.select(table)))) for table in tables}
    assert isinstance(store, RedisStore)
    with Redis.from_url(store.url) as client:
        return {key: client.dump(key) for key in client.scan_iter(match=f"{store._client.prefix}*", count=1_000)}
