"""The columns of the lists of processes, runs, slots, items and settings versions; an entry is a column in every view."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from celery_process.monitor.cells import Column, Kind, Progress, Share, Table
from celery_process.monitor.overview import Overview
from celery_process.monitor.secrets import Fact
from celery_process.protocol.model import RunStatus, SettingsVersion
from celery_process.schedule.frequency import as_sentence
from celery_process.text.sentences import Sentence
from celery_process.text.sentences import marked as _

TOLERATED = _("errors of the run, and how many it tolerates")
NEVER_RAN = _("never ran")
NOT_DEFINED = Sentence(_("not in this code"))
AS_IN_THE_CODE = Sentence(_("as in the code"))


def _schedule(row: Overview) -> Sentence:
    return as_sentence(row.schedule_frequency) if row.defined else NOT_DEFINED


def _states(row: Overview) -> tuple[str, ...]:
    return (row.state or NEVER_RAN, *(("PAUSED",) if row.paused else ()))


def _took(row: RunStatus) -> timedelta | None:
    return None if row.finished_at is None else row.finished_at - row.started_at


def _stored_schedule(row: SettingsVersion) -> Sentence:
    return AS_IN_THE_CODE if row.schedule_frequency is None else as_sentence(row.schedule_frequency)


def _stored_settings(row: SettingsVersion) -> Any:
    return AS_IN_THE_CODE if row.settings is None else row.settings


PROCESSES = Table(
    "processes",
    _("There is no process."),
    (
        Column("process", _("Process"), Kind.PROCESS, lambda row: row.process),
        Column("schedule", _("Schedule"), Kind.WORDS, _schedule, under="process"),
        Column("states", _("State"), Kind.STATE, _states),
        Column(
            "progress",
            _("Progress"),
            Kind.PROGRESS,
            lambda row: Progress(row.process, row.state, row.done, row.total, row.fraction),
        ),
        Column("rate", _("Items/s"), Kind.NUMBER, lambda row: row.rate, short="Rate"),
        Column("remaining", _("Time left"), Kind.SPAN, lambda row: row.remaining, short="Left"),
        Column("tolerance", _("Errors"), Kind.SHARE, lambda row: Share(row.errors, row.limit), hint=TOLERATED),
        Column("next_slot", _("Next slot"), Kind.UNTIL, lambda row: row.next_slot, now=lambda row: row.at, short="Next"),
        Column("last_outcome", _("Last outcome"), Kind.STATE, lambda row: row.last_outcome),
        Column("slot", _("Slot"), Kind.INSTANT, lambda row: row.slot, detail=True),
        Column("started_at", _("Started"), Kind.UNTIL, lambda row: row.started_at, detail=True, now=lambda row: row.at),
    ),
)
"""Rows are an `Overview`."""
HEAD = ("process", "schedule", "states", "progress")
"""The columns at the head of a process's page; the page lists the others below as facts."""

RUNS = Table(
    "runs",
    _("No run yet."),
    (
        Column("id", _("Run"), Kind.RUN, lambda row: row.id),
        Column("slot", _("Slot"), Kind.INSTANT, lambda row: row.slot),
        Column(
            "generation",
            _("Generation"),
            Kind.NUMBER,
            lambda row: row.generation,
            words=_("generation %(value)s"),
            under="slot",
        ),
        Column("state", _("State"), Kind.STATE, lambda row: row.state),
        Column("reason", _("Reason"), Kind.WORD, lambda row: row.reason, under="state"),
        Column("limit_broken", _("Limit"), Kind.TEXT, lambda row: row.limit_broken, under="state", fact=Fact.NAMES),
        Column("items", _("Items"), Kind.SHARE, lambda row: Share(row.counts.ended, row.counts.enlisted)),
        Column("total_errors", _("Errors"), Kind.NUMBER, lambda row: row.total_errors),
        Column("took", _("Took"), Kind.SPAN, _took),
        Column(
            "settings_version", _("Settings"), Kind.NUMBER, lambda row: row.settings_version, words=_("version %(value)s")
        ),
        Column("started_at", _("Started"), Kind.INSTANT, lambda row: row.started_at, detail=True),
        Column("finished_at", _("Finished"), Kind.INSTANT, lambda row: row.finished_at, detail=True),
    ),
)
"""Rows are a `RunStatus`."""

SLOTS = Table(
    "slots",
    _("No slot yet."),
    (
        Column("slot", _("Slot"), Kind.INSTANT, lambda row: row.slot),
        Column("after", _("After"), Kind.INSTANT, lambda row: row.after, words=_("and all after %(value)s"), under="slot"),
        Column("end", _("End"), Kind.STATE, lambda row: row.end),
        Column("by", _("By"), Kind.TEXT, lambda row: row.by),
        Column("run_id", _("Run"), Kind.RUN, lambda row: row.run_id),
    ),
)
"""Rows are a `SlotEntry`."""

ITEMS = Table(
    "items",
    _("No item."),
    (
        Column("name", _("Item"), Kind.ITEM, lambda row: row.name),
        Column("state", _("State"), Kind.STATE, lambda row: row.status.state),
        Column(
            "waits_in",
            _("Waits in run"),
            Kind.RUN,
            lambda row: row.status.waits_in,
            words=_("waits in run %(value)s"),
            under="state",
        ),
        Column("total_errors", _("Errors"), Kind.NUMBER, lambda row: row.status.total_errors),
        Column("attempt", _("Attempt"), Kind.NUMBER, lambda row: row.status.attempt),
        Column("finished_at", _("Finished"), Kind.INSTANT, lambda row: row.status.finished_at),
        Column("changed_at", _("Changed"), Kind.INSTANT, lambda row: row.changed_at),
        Column("stats", _("Stats"), Kind.STATS, lambda row: row.status.stats or None),
        Column("on", _("List"), Kind.WORD, lambda row: row.on, detail=True),
        Column("listed_at", _("On the list since"), Kind.INSTANT, lambda row: row.listed_at, detail=True),
        Column("started_at", _("Started"), Kind.INSTANT, lambda row: row.status.started_at, detail=True),
        Column("task_id", _("Celery task"), Kind.ID, lambda row: row.status.task_id, detail=True),
    ),
)
"""Rows are a `WorkInfo`."""

VERSIONS = Table(
    "settings_history",
    _("Nothing was stored yet; all is as in the code."),
    (
        Column("version", _("Version"), Kind.ID, lambda row: row.version),
        Column("changed_at", _("Stored"), Kind.INSTANT, lambda row: row.changed_at),
        Column("by", _("By"), Kind.TEXT, lambda row: row.by),
        Column("schedule", _("Schedule"), Kind.WORDS, _stored_schedule),
        Column("settings", _("Settings"), Kind.JSON, _stored_settings, fact=Fact.SETTINGS),
    ),
)
"""Rows are a `SettingsVersion`."""

TABLES = {table.name: table for table in (PROCESSES, RUNS, SLOTS, ITEMS, VERSIONS)}
