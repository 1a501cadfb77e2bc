"""What callers write: `work` and `settings` rows alone, so that their open transactions delay no run.

Each list of names is one upsert for 500 of them, in name order, so that two callers cannot wait for each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from celery_process.exceptions import SettingsChanged
from celery_process.instants import to_us
from celery_process.protocol.states import WorkList
from celery_process.stores.sql import history
from celery_process.stores.sql.keys import chunks
from celery_process.stores.sql.transaction import Transaction, Values


def register(tx: Transaction, process: str, works: Mapping[str, str]) -> tuple[str, ...]:
    """Put names on the active list, where that or their params are new; return those that changed."""

    def differs(new: Any) -> sa.ColumnElement[bool]:
        work = tx.t.work.c
        return sa.or_(work.on_list != new.on_list, work.params != new.params)

    rows = [_row(tx, process, name, WorkList.ACTIVE, works[name]) for name in sorted(works)]
    return _list(tx, rows, differs, "params")


def unregister(tx: Transaction, process: str, names: Collection[str]) -> tuple[str, ...]:
    """Put names on the cleanup list, unless they are on it or dropped, with the params they have; return the changed."""

    def differs(_: Any) -> sa.ColumnElement[bool]:
        return tx.t.work.c.on_list == WorkList.ACTIVE

    rows = [_row(tx, process, name, WorkList.CLEANUP, "{}") for name in sorted(set(names))]
    return _list(tx, rows, differs)


def _row(tx: Transaction, process: str, name: str, on: WorkList, params: str) -> Values:
    return {
        "process": process,
        "name": name,
        "on_list": on,
        "listed_at": tx.now,
        "params": params,
        "params_version": to_us(tx.now),
    }


def _list(tx: Transaction, rows: Iterable[Values], differs: Any, *replaced: str) -> tuple[str, ...]:
    table = tx.t.work
    work = table.c

    def change(new: Any) -> Values:
        after = work.params_version + sa.literal_column("1")
        return {
            "on_list": new.on_list,
            "listed_at": sa.case((work.on_list == new.on_list, work.listed_at), else_=new.listed_at),
            "params_version": sa.case((new.params_version > after, new.params_version), else_=after),
            **{column: new[column] for column in replaced},
        }

    changed: list[str] = []
    for chunk in chunks(rows):
        changed.extend(tx.put(table, chunk, change, where=differs, returning=work.name))
    return tuple(sorted(changed))


def update_settings(
    tx: Transaction, process: str, *, settings: str | None, schedule: str | None, by: str, expected_version: int | None
) -> int:
    """Replace the overrides that are not None; return the version, which the same values keep, or `SettingsChanged`."""
    table = tx.t.settings
    given = {column: text for column, text in (("settings", settings), ("schedule", schedule)) if text is not None}
    version = _write(tx, process, given, by, expected_version) if given else None
    if version is not None:
        history.keep(tx, process, version)
        return version
    # Locked, for the newest row: the transaction of a caller may see an older one.
    row = tx.first(sa.select(table).where(table.c.process == process).with_for_update())
    found = 0 if row is None else int(row.version)
    same = row is not None and all(getattr(row, column) == text for column, text in given.items())
    if same and given:
        tx.change(sa.update(table).where(table.c.process == process).values(changed_at=tx.now, changed_by=by))
    if same or not given or expected_version is None:
        return found
    raise SettingsChanged(
        f"The settings of {process!r} are at version {found}, not {expected_version}; read them again.",
        process=process,
        expected=expected_version,
        found=found,
    )


def _write(tx: Transaction, process: str, given: Values, by: str, expected: int | None) -> int | None:
    """Write what differs, if the version is as expected; return the new version, or None where nothing was written."""
    table = tx.t.settings
    old, noted = table.c, {"changed_at": tx.now, "changed_by": by}
    row = {"process": process, "version": 1, **given, **noted}
    differs = sa.or_(*(old[column].is_distinct_from(text) for column, text in given.items()))
    if expected is None:
        version = old.version + sa.literal_column("1")

        def change(new: Any) -> Values:
            return {"version": version, **{column: new[column] for column in (*given, *noted)}}

        written = tx.put(table, [row], change, where=lambda _: differs, returning=old.version)
        return int(written[0]) if written else None
    if expected == 0:
        return 1 if tx.add_missing(table, row) else None
    changed = sa.update(table).where(old.process == process, old.version == expected, differs)
    return expected + 1 if tx.change(changed.values(**given, **noted, version=expected + 1)) else None
