"""Which deployment the tables are kept for: the name of a row of `meta`, whose other column holds numbers alone."""

from __future__ import annotations

import sqlalchemy as sa

from celery_process.stores.sql.transaction import Transaction

_MARK = "deployment "


def noted(tx: Transaction) -> str:
    """Return the id that is noted, or nothing."""
    name = tx.t.meta.c.name
    found = tx.value(sa.select(name).where(name.startswith(_MARK)).order_by(name).limit(1))
    return "" if found is None else str(found).removeprefix(_MARK)


def note(tx: Transaction, own: str, *, adopt: bool) -> str:
    """Note an id where there is none or, with `adopt`, in any case; return the one that is noted."""
    meta = tx.t.meta
    # The row that has the version is locked, so that of two callers that find no id one waits and finds the other's.
    tx.rows(sa.select(meta.c.number).where(meta.c.name == "schema_version").with_for_update())
    found = noted(tx)
    if found and not adopt:
        return found
    tx.change(sa.delete(meta).where(meta.c.name.startswith(_MARK)))
    tx.add(meta, [{"name": _MARK + own, "number": 0}])
    return own
