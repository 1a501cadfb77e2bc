"""Version 5: the token of an item's last attempt, by which its Celery task is known. Frozen."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from celery_process.stores.sql.migrations import kinds


def upgrade(conn: Connection, prefix: str) -> None:
    """Add the column; of statuses of before no task is known."""
    kinds.add_column(conn, f"{prefix}status", sa.Column("token", kinds.NAME))
