"""Version 6: what sweeps did to a run, until it is told. Frozen."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from celery_process.stores.sql.migrations import kinds


def upgrade(conn: Connection, prefix: str) -> None:
    """Add the column; no run of before has a value."""
    kinds.add_column(conn, f"{prefix}run", sa.Column("repairs", kinds.TEXT))
