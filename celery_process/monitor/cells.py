"""A column of a list, and its text in a row: the same in the terminal, in the admin and in Flower.

Each view draws a value by its kind. It asks `Table.of` for the columns that its reader may see, and passes rows that
`secrets.mask_for` has masked. `columns` has the lists.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from celery_process.monitor.jsonable import plain
from celery_process.monitor.secrets import Fact, Reader, may_see
from celery_process.protocol.states import RunState
from celery_process.text.durations import humanize
from celery_process.text.sentences import Sentence
from celery_process.text.sentences import marked as _


class Kind(StrEnum):
    """How a view draws a value, and of which type the value is."""

    PROCESS = "the name of a process, which leads to its page"
    ITEM = "the name of an item, which leads to its page"
    RUN = "the id of a run, which leads to its page"
    ID = "an id that leads nowhere"
    TEXT = "somebody's text"
    WORDS = "a Sentence"
    WORD = "a word of the store's, or nothing"
    STATE = "a state or an end, one or several"
    NUMBER = "a number"
    SHARE = "a Share"
    PROGRESS = "a Progress"
    SPAN = "a timedelta"
    INSTANT = "a datetime"
    UNTIL = "a datetime of which people want to know how far off it is"
    JSON = "a value of JSON"
    STATS = "named numbers"


NUMBERS = frozenset({Kind.NUMBER, Kind.SHARE, Kind.SPAN})
"""Kinds that a view aligns at the end of the column, as numbers are."""


@dataclass(frozen=True, slots=True)
class Share:
    """A count and its limit; `of` is None where there is no limit."""

    count: int
    of: int | None

    @property
    def beyond(self) -> bool:
        """Whether the count is above the limit."""
        return self.of is not None and self.count > self.of


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the run of a process is; `state` is None where the process never ran."""

    process: str
    state: RunState | None
    done: int
    total: int
    fraction: float | None

    @property
    def percent(self) -> str:
        """The fraction in percent; below 100 until the run is complete."""
        if self.fraction is None:
            return ""
        whole = 100 * self.fraction
        return f"{int(10 * whole) / 10:.1f} %" if 0 < whole < 100 else f"{whole:.0f} %"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a list. `key`: its name in JSON, where the row has no field for it.

    `value` returns None or nothing where a row has no value, and a `Sentence` where words replace the value. `words` is a
    sentence around the value, its `%(value)s`; a zero has no words. `under` names the column below whose value a web page
    writes this one in small type. With `detail` the column is in JSON and on the page of a single row, not in the list.
    `fact` is the fact of a process that it shows; `secrets` decides who may see that. `now` returns the instant from which
    UNTIL counts. `hint` is a longer explanation, `short` the heading for narrow views.
    """

    key: str
    heading: str
    kind: Kind
    value: Callable[[Any], Any]
    words: str = ""
    under: str = ""
    detail: bool = False
    fact: Fact | None = None
    now: Callable[[Any], datetime] | None = None
    hint: str = ""
    short: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what a page's script needs to draw the column."""
        named = {name: getattr(self, name) for name in ("key", "heading", "words", "under", "detail", "hint")}
        return {**named, "kind": self.kind.name.lower(), "number": self.kind in NUMBERS}

    def value_in(self, row: Any) -> Any:
        """Return the value in a row; None where the row has none."""
        value = self.value(row)
        return None if value is None or value in ("", ()) or (self.words and not value) else value

    def text(self, row: Any, *, instant: Callable[[datetime], str] = datetime.isoformat) -> str | Sentence:
        """Return the text of the value in a row, empty where it has none; `instant` is how the view writes a datetime."""
        value = self.value_in(row)
        if value is None or isinstance(value, Sentence):
            return value or ""
        if self.kind is Kind.INSTANT:
            return instant(value)
        return until(value, self.now(row)) if self.now is not None else _TEXTS.get(self.kind, str)(value)

    def sentence(self, row: Any, *, instant: Callable[[datetime], str] = datetime.isoformat) -> str:
        """Return the text with the words around it, in English."""
        text = str(self.text(row, instant=instant))
        return self.words % {"value": text} if self.words and text else text


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a list, in their order, and the text of an empty list."""

    name: str
    empty: str
    columns: tuple[Column, ...]

    def of(self, reader: Reader, may: Callable[[str], bool] = lambda _: True) -> tuple[Column, ...]:
        """Return the columns that a reader may see; `may` is as in `secrets.may_see`."""
        return tuple(column for column in self.columns if column.fact is None or may_see(reader, column.fact, may))

    def drawn(self, row: Any, reader: Reader) -> dict[str, Any]:
        """Return a row as JSON with the texts of its columns, for a page's script."""
        texts = {one.key: str(one.text(row)) for one in self.of(reader)}
        return {**self.as_json(row, reader), "texts": texts}

    def heads(self, reader: Reader) -> list[dict[str, Any]]:
        """Return the columns as JSON, for a page's script."""
        return [one.as_json() for one in self.of(reader)]

    def as_json(self, row: Any, reader: Reader) -> dict[str, Any]:
        """Return a row as JSON: its fields, and the columns that are not among its fields."""
        known = {field.name for field in fields(row)}
        return {**plain(row), **{one.key: plain(one.value(row)) for one in self.of(reader) if one.key not in known}}


IN, AGO = _("in %(span)s"), _("%(span)s ago")
ANY = _("%(count)s / any")


def until(instant: datetime, now: datetime) -> Sentence:
    """Return how long it is from `now` until an instant, or how long ago the instant was."""
    span = instant - now
    return Sentence(IN if span >= timedelta(0) else AGO, {"span": humanize(abs(span))})


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def _share(share: Share) -> str | Sentence:
    return f"{share.count:,} / {share.of:,}" if share.of is not None else Sentence(ANY, {"count": f"{share.count:,}"})


def _progress(progress: Progress) -> str | Sentence:
    if progress.state is None:
        return Sentence(_("no run yet"))
    facts = {"done": f"{progress.done:,}", "total": f"{progress.total:,}", "percent": progress.percent or "–"}
    return Sentence(_("%(done)s of %(total)s · %(percent)s"), facts)


def _json(value: Any) -> str:
    return json.dumps(plain(value), ensure_ascii=False, sort_keys=True)


def _stats(stats: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {count:,}" if isinstance(count, int) else f"{name} {count:,.3f}" for name, count in stats.items()
    )


_TEXTS: Mapping[Kind, Callable[[Any], str | Sentence]] = {
    Kind.NUMBER: _number,
    Kind.SHARE: _share,
    Kind.PROGRESS: _progress,
    Kind.SPAN: humanize,
    Kind.JSON: _json,
    Kind.STATS: _stats,
    Kind.STATE: lambda states: " ".join((states,) if isinstance(states, str) else states),
}
"""How each kind whose values are not texts becomes a text."""
