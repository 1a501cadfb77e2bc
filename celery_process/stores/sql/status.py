"""What people see of a run: its row, and live the items of its open pages, which the window bounds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from celery_process.protocol import rules
from celery_process.protocol.model import ItemCounts, RunStatus
from celery_process.stores.sql.keys import RunKey
from celery_process.stores.sql.transaction import Transaction


def status_of(tx: Transaction, run: Row[Any], *, live: bool = True) -> RunStatus:
    """Return the status of a row of `run`; not `live`, of what was folded."""
    counts, stats = Counter(run.counts), dict(run.stats)
    if live and run.state.is_open:
        found = tx.rows(_live(tx, RunKey(run.process, run.epoch, run.run_uuid)))
        counts.update(rules.count_name(item.state, item.outcome) for item in found)
        ended = [
            rules.item_stats(item.state, item.outcome, item.on_list, item.totals) for item in found if not item.state.is_open
        ]
        stats = rules.sum_stats([stats, *ended])
    return RunStatus(
        process=run.process,
        id=rules.run_id(run.epoch, run.run_uuid),
        epoch=run.epoch,
        slot=run.slot,
        generation=run.generation,
        state=run.state,
        reason=run.reason,
        settings_version=run.settings_version,
        started_at=run.started_at,
        progress_at=run.progress_at,
        finished_at=run.finished_at,
        counts=ItemCounts(**counts),
        stats=stats,
        total_errors=run.total_errors,
        errors=run.errors,
        last_error_at=run.last_error_at,
        limit_broken=run.limit_broken,
    )


def _live(tx: Transaction, key: RunKey) -> sa.Select[Any]:
    item, page = tx.t.item, tx.t.page
    # The totals of open items do not count yet and may be long.
    totals = sa.case((tx.t.item_is_open, sa.null()), else_=item.c.totals)
    return (
        sa.select(item.c.state, item.c.outcome, item.c.on_list, sa.type_coerce(totals, item.c.totals.type).label("totals"))
        .select_from(page.join(item, item.c.page_id == page.c.id))
        .where(key.rows(page), page.c.is_open.is_(True))
        .order_by(item.c.page_id, item.c.name)
    )
