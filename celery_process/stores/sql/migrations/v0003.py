"""Version 3: the limits of a process, and when its last page went out under a rate. Frozen."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from celery_process.stores.sql.migrations import kinds

COLUMNS = ("limits", "pace")


def upgrade(conn: Connection, prefix: str) -> None:
    """Add the columns; none of them has a value yet."""
    for name in COLUMNS:
        kinds.add_column(conn, f"{prefix}process", sa.Column(name, kinds.TEXT))
