"""Lists as text: the columns of `monitor.columns`, fitted to the terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import zip_longest
from typing import Any

import click

from celery_process.cli.base import STATES, coloured, columns, cut, padded, when, wide
from celery_process.monitor.cells import NUMBERS, Column, Kind, Progress, Table
from celery_process.monitor.secrets import Reader
from celery_process.text.printable import printable

SHORTEST = 8
"""Columns of a terminal that the first column, a name, has at least; below it other columns are dropped."""
NARROWEST = 20
"""Columns of a terminal below which only the last cell is cut: an instant and a run's id stay whole."""
LONG = frozenset({Kind.TEXT, Kind.JSON, Kind.STATS})
"""Kinds that are cut first, where they are the last column."""
BAR = 8
"""Columns of a terminal that a progress bar takes."""


def print_table(table: Table, rows: Iterable[Any], *, keep: Collection[str], more: Collection[str] = ()) -> None:
    """Print rows in columns. Where the terminal has no room, columns not in `keep` are dropped, the last one first.

    `more`: columns to add that are otherwise only on the page of a single row.
    """
    for line in lines_of(table, rows, keep=keep, more=more):
        click.echo(line)


def lines_of(
    table: Table, rows: Iterable[Any], *, keep: Collection[str], more: Collection[str] = (), bars: bool = False
) -> list[str]:
    """Return rows as lines under a header, with states in their colours; `bars`: draw a bar for progress too.

    What a web page writes under the first column is a column here; what it writes under the others is in a last one, NOTE.
    """
    listed, allowed = list(rows), table.of(Reader.CLI)
    first = allowed[0].key
    fitting = [one for one in allowed if one.key in more or not (one.detail or one.under not in ("", first))]
    notes = [_note(row, [one for one in allowed if one.under not in ("", first)]) for row in listed]
    while True:
        cells = [[_cell(one, row, bars=bars) for one in fitting] for row in listed]
        header = [(one.short or one.heading).upper() for one in fitting]
        if any(notes):
            header.append("NOTE")
            cells = [[*line, note] for line, note in zip(cells, notes, strict=True)]
        widths = [max(map(columns, column)) for column in zip(header, *cells, strict=True)]
        spare = sorted((one for one in fitting if one.key not in keep), key=lambda one: bool(one.under))
        room = (wide() or 10_000) - 2 * (len(widths) - 1)
        if not spare or sum(widths) - max(widths[0] - SHORTEST, 0) <= room:
            break
        fitting.remove(spare[-1])
    _fit(widths, header, cuts_last=any(notes) or fitting[-1].kind in LONG)
    lines = [_line(header, widths, fitting)]
    return lines + [_line(line, widths, fitting, row=row) for line, row in zip(cells, listed, strict=True)]


def print_rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows that have no `Table`; on a terminal the last column, then the widest, is cut to fit."""
    lines = [list(header), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(columns, column)) for column in zip(*lines, strict=True)]
    _fit(widths, header)
    for number, line in enumerate(lines):
        cells = [padded(cut(cell, width), width) for cell, width in zip(line, widths, strict=True)]
        click.echo("  ".join(coloured(cell, bold=number == 0) for cell in cells).rstrip())


def _fit(widths: list[int], header: Sequence[str], *, cuts_last: bool = True) -> None:
    edge = wide()
    if edge is None:
        return
    room = edge - 2 * (len(widths) - 1)
    if cuts_last:
        widths[-1] = max(min(widths[-1], room - sum(widths[:-1])), len(header[-1]), 4)
    while sum(widths) > room and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    if sum(widths) > room:  # only the first column, a name, can still be cut
        widths[0] = max(widths[0] - (sum(widths) - room), 4)


def _cell(column: Column, row: Any, *, bars: bool) -> str:
    value = column.value_in(row)
    if isinstance(value, Progress) and value.state is not None:
        part = f"{_bar(value)} {int(100 * (value.fraction or 0)):>3}% " if bars else ""
        return f"{part}{value.done:,}/{value.total:,}"
    if column.kind is Kind.STATE and isinstance(value, tuple):
        return str(value[0])  # the NOTE column names a pause, with its note
    text = printable(str(column.text(row, instant=when))) or "-"
    return text.replace(" / ", "/") if column.kind is Kind.SHARE else text  # a run's id is long


def _bar(progress: Progress) -> str:
    full = int(BAR * (progress.fraction or 0))
    return "━" * full + "─" * (BAR - full)


def _note(row: Any, under: Sequence[Column]) -> str:
    """Return the texts that a web page writes under the values of a row."""
    return ", ".join(filter(None, (printable(one.sentence(row, instant=when)) for one in under)))


def _line(cells: Sequence[str], widths: Sequence[int], fitting: Sequence[Column], *, row: Any = None) -> str:
    drawn = []
    for cell, width, column in zip_longest(cells, widths, fitting):
        text = cut(cell, width)
        at_end = column is not None and column.kind in NUMBERS
        text = " " * (width - columns(text)) + text if at_end else padded(text, width)
        colour = None if row is None or column is None else _colour(column, row)
        drawn.append(coloured(text, colour, bold=row is None))
    return "  ".join(drawn).rstrip()


def _colour(column: Column, row: Any) -> str | None:
    value = column.value_in(row)
    if column.kind is Kind.PROGRESS:
        return STATES.get(value.state)
    if column.kind is Kind.STATE and value is not None:
        return STATES.get(value if isinstance(value, str) else value[0])
    return "red" if column.kind is Kind.SHARE and value.beyond else None
