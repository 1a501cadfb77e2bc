"""How the admin's pages write values: instants, durations, numbers, states, and the columns of lists."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from django import template
from django.contrib.admin.templatetags.admin_urls import admin_urlname
from django.contrib.admin.utils import quote as quoted
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext

from celery_process.contrib.django.words import translated
from celery_process.contrib.django.words import word as translated_word
from celery_process.monitor.cells import NUMBERS, Column, Kind, Share
from celery_process.monitor.columns import HEAD, NEVER_RAN, PROCESSES, TABLES
from celery_process.monitor.secrets import Reader
from celery_process.monitor.verbs import Takes, Target, Verb, offered
from celery_process.protocol.model import ItemCounts
from celery_process.schedule.frequency import as_sentence
from celery_process.text.sentences import Sentence

register = template.Library()
NONE = "–"
_BAR = "admin/celery_process/process/_bar.html"
_CLASSES = {Kind.PROGRESS: "cp-wide", Kind.JSON: "cp-widest", Kind.RUN: "cp-id", Kind.ID: "cp-id"}
_CLASSES |= dict.fromkeys(NUMBERS, "cp-number")


@register.filter
def at(instant: datetime | None) -> str:
    """Write an instant in the current time zone, to the second."""
    if instant is None:
        return NONE
    return _time(instant, format_html('<bdi dir="ltr">{}</bdi>', f"{timezone.localtime(instant):%Y-%m-%d %H:%M:%S}"))


def _time(instant: datetime, words: str) -> str:
    local = f"{timezone.localtime(instant):%Y-%m-%d %H:%M:%S %Z}"
    markup: str = format_html('<time datetime="{}" title="{}">{}</time>', instant.isoformat(), local, words)
    return markup


@register.filter
def number(value: float | None) -> str:
    """Write a number with separators between thousands."""
    if value is None:
        return NONE
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


@register.filter
def badge(word: str | None) -> SafeString:
    """Write a state, or how a run or slot ended, as a badge."""
    if not word or word == NEVER_RAN:
        return format_html('<span class="cp-badge">{}</span>', translated_word(NEVER_RAN))
    return format_html('<span class="cp-badge cp-is-{}">{}</span>', str(word).replace(" ", "-"), translated_word(word))


@register.filter
def word(value: str) -> str:
    """Write a word of the store, such as a state, a list or a reason, in the current language."""
    return translated_word(value)


@register.filter
def schedule(value: Any) -> str:
    """Write a schedule in words that fit into a sentence."""
    return translated(as_sentence(value))


@register.inclusion_tag("admin/celery_process/process/_table.html", takes_context=True)
def listed(context: template.Context, name: str, rows: Iterable[Any], *, empty: str = "", ticks: bool = False) -> Any:
    """Write rows in the columns of a list that the user may see, each with the verbs that the user may use on it."""
    table, columns = TABLES[name], _columns(context, name)
    heads = [column for column in columns if not column.under and not column.detail]
    lines = [(row, [(column, _cell(context, column, row, columns)) for column in heads]) for row in rows]
    return {**context.flatten(), "table": table, "heads": heads, "lines": lines, "empty": empty, "ticks": ticks}


@register.simple_tag(takes_context=True)
def facts(context: template.Context, name: str, row: Any, *keys: str) -> SafeString:
    """Write the columns of a list as facts about one row: those named in `keys`, or all that the page's head lacks."""
    above = HEAD if TABLES[name] is PROCESSES else ("id", "name", "stats")
    cells = [
        (translated(gettext(column.heading)), _drawn(context, column, row))
        for column in _columns(context, name)
        if (column.key in keys if keys else column.key not in above)
        and (not column.under or column.value_in(row) is not None)
    ]
    return format_html_join("", "<div><dt>{}</dt><dd>{}</dd></div>", cells)


@register.simple_tag(takes_context=True)
def column(context: template.Context, name: str, key: str, row: Any) -> SafeString:
    """Write one column of a list in a row."""
    (found,) = [one for one in TABLES[name].columns if one.key == key]
    return _drawn(context, found, row)


@register.filter
def classes(column: Column) -> str:
    """Return the CSS classes of a column's cells."""
    return _CLASSES.get(column.kind, "")


@register.filter
def in_language(text: str) -> str:
    """Return a text of the tables in the current language."""
    return str(gettext(text))


def _columns(context: template.Context, name: str) -> tuple[Column, ...]:
    sees: Mapping[str, bool] = context["may"]["see"]
    return TABLES[name].of(Reader.ADMIN, lambda noun: sees[noun])


def _cell(context: template.Context, column: Column, row: Any, columns: Iterable[Column]) -> SafeString:
    below = [one for one in columns if one.under == column.key and one.value_in(row) is not None]
    under = [(_drawn(context, one, row),) for one in below]
    drawn = format_html_join("", '<span class="cp-under"><bdi>{}</bdi></span>', under)
    return format_html("{}{}", _drawn(context, column, row), drawn)


def _drawn(context: template.Context, column: Column, row: Any) -> SafeString:
    value = column.value_in(row)
    if value is None:
        return format_html("{}", NONE)
    inner = _inner(context, column, row, value)
    return mark_safe(escape(gettext(column.words)) % {"value": inner}) if column.words else inner  # noqa: S308 - escaped


def _inner(context: template.Context, column: Column, row: Any, value: Any) -> SafeString:
    text = translated(column.text(row))
    if isinstance(value, Sentence):
        return format_html("{}", text)
    if column.kind is Kind.PROGRESS:
        return render_to_string(_BAR, {"progress": value})
    if column.kind is Kind.STATE:
        return format_html_join("", "{}", [(badge(one),) for one in ((value,) if isinstance(value, str) else value)])
    if column.kind is Kind.INSTANT:
        return at(value)
    if column.kind is Kind.UNTIL:
        return _time(value, text)
    if column.kind is Kind.JSON:
        return format_html('<code dir="ltr">{}</code>', text)
    if column.kind is Kind.WORD:
        return format_html("<bdi>{}</bdi>", translated_word(value))
    if column.kind in (Kind.TEXT, Kind.ITEM, Kind.PROCESS):
        return _linked(context, column, value, format_html("<bdi>{}</bdi>", text))
    bad = mark_safe(' class="cp-bad"') if isinstance(value, Share) and value.beyond else ""
    hint = format_html(' title="{}"', gettext(column.hint)) if column.hint else ""
    return _linked(context, column, value, format_html('<bdi dir="ltr"{}{}>{}</bdi>', bad, hint, text))


def _linked(context: template.Context, column: Column, value: Any, drawn: SafeString) -> SafeString:
    """Return a name or an id as a link to its page, where it has one that the user may see."""
    sees, opts = context["may"]["see"], context["opts"]
    if column.kind is Kind.PROCESS:
        return format_html('<a id="cp-to-{}" href="{}">{}</a>', value, _url(opts, "change", value), drawn)
    if column.kind is Kind.RUN and sees["run"]:
        mark = format_html(' id="cp-run-{}"', value) if column.key == "id" else ""
        return format_html('<a{} href="{}">{}</a>', mark, _url(opts, "run", context["name"], value), drawn)
    if column.kind is Kind.ITEM and sees["work"]:
        return format_html('<a href="{}?name={}">{}</a>', context["urls"]["item"], quote(str(value), safe=""), drawn)
    return drawn


def _url(opts: Any, page: str, *names: str) -> str:
    return str(reverse(admin_urlname(opts, page), args=[quoted(name) for name in names]))


@register.filter
def as_json(value: Any) -> str:
    """Write a value as JSON, on one line."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


@register.filter
def pretty(value: Any) -> str:
    """Write a value as JSON, a line for each of its parts."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=2)


@register.filter
def counted(counts: ItemCounts) -> list[tuple[str, int]]:
    """Return the states of a run's items, with the number of items in each."""
    return [
        (translated_word(field.name).capitalize(), found)
        for field in fields(counts)
        if (found := getattr(counts, field.name))
    ]


@register.simple_tag(takes_context=True)
def verbs(context: template.Context, target: str, row: Any) -> list[Verb]:
    """Return the verbs that the user may use on a process, a run or items, and that make sense and have no own form."""
    may: Mapping[str, bool] = context["may"]["change"]
    return [verb for verb in offered(Target[target.upper()], row) if may[verb.noun] and Takes.PARAMS not in verb.takes]


@register.simple_tag
def query(chosen: Mapping[str, str], **more: str) -> str:
    """Write the URL query of the chosen filters, and `more`."""
    return urlencode({name: value for name, value in {**chosen, **more}.items() if value})
