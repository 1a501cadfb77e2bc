"""How the admin's pages write what they show: instants, durations, numbers, states."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from celery_process.contrib.django.words import NEVER_RAN, sentence
from celery_process.contrib.django.words import word as translated
from celery_process.monitor.overview import Overview, humanize
from celery_process.protocol.model import ItemCounts, RunStatus
from celery_process.schedule.frequency import describe

register = template.Library()
NONE = "–"


@register.filter
def at(instant: datetime | None) -> str:
    """Write an instant in the present time zone, to the second."""
    if instant is None:
        return NONE
    return _time(instant, format_html('<bdi dir="ltr">{}</bdi>', f"{timezone.localtime(instant):%Y-%m-%d %H:%M:%S}"))


@register.filter
def until(instant: datetime | None, now: datetime) -> str:
    """Write how long it is from `now` to an instant, or since."""
    if instant is None:
        return NONE
    if instant >= now:
        return _time(instant, sentence(_("in %(span)s"), span=humanize(instant - now)))
    return _time(instant, sentence(_("%(span)s ago"), span=humanize(now - instant)))


def _time(instant: datetime, words: str) -> str:
    local = f"{timezone.localtime(instant):%Y-%m-%d %H:%M:%S %Z}"
    made: str = format_html('<time datetime="{}" title="{}">{}</time>', instant.isoformat(), local, words)
    return made


@register.filter
def duration(span: timedelta | None) -> str:
    """Write a duration in its two largest units."""
    return NONE if span is None else humanize(span)


@register.filter
def took(run: Any) -> str:
    """Write how long a run took, once it has ended."""
    return NONE if run.finished_at is None else humanize(run.finished_at - run.started_at)


@register.filter
def number(value: float | None) -> str:
    """Write a number with its thousands apart."""
    if value is None:
        return NONE
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


@register.filter
def percent(overview: Overview) -> str:
    """Write how far a run is; never 100 % of one that is not."""
    if overview.fraction is None:
        return NONE
    whole = 100 * overview.fraction
    return f"{int(10 * whole) / 10:.1f} %" if 0 < whole < 100 else f"{whole:.0f} %"


@register.filter
def badge(word: str | None) -> SafeString:
    """Write a state or an end as a badge."""
    if not word:
        return format_html('<span class="cp-badge">{}</span>', translated(NEVER_RAN))
    return format_html('<span class="cp-badge cp-is-{}">{}</span>', str(word).replace(" ", "-"), translated(word))


@register.filter
def word(value: str) -> str:
    """Write a word of the store's, such as a state, a list or a reason, in the present language."""
    return translated(value)


@register.filter
def schedule(value: Any) -> str:
    """Write a schedule as a sentence has it."""
    if value is None:
        return str(gettext("on demand"))
    if isinstance(value, timedelta):
        return sentence(_("every %(span)s"), span=value)
    made: str = format_html('<bdi dir="ltr">{}</bdi>', describe(value))
    return made


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
    """Return the states that a run has items in, with how many."""
    return [
        (translated(field.name).capitalize(), found) for field in fields(counts) if (found := getattr(counts, field.name))
    ]


@register.filter
def redrivable(run: RunStatus) -> bool:
    """Return whether a run has ended and left something to do again."""
    return not run.state.is_open and run.counts.completed < run.counts.enlisted


@register.simple_tag
def query(chosen: Mapping[str, str], **more: str) -> str:
    """Write the query that asks for what was chosen, and more."""
    return urlencode({name: value for name, value in {**chosen, **more}.items() if value})
