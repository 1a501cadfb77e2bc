"""The store's tables as models, to look at: they are written by the store alone.

Instants are whole microseconds since 1970 (UTC) and packed values are JSON in text; see the SQL store.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from celery_process.protocol.states import ItemState, RunState, SlotEnd, WorkList, WorkState

NAME = 191


def _name(**options: Any) -> Any:
    return models.CharField(max_length=NAME, **options)


def _word(**options: Any) -> Any:
    return models.CharField(max_length=16, **options)


def _instant() -> Any:
    return models.BigIntegerField(null=True, blank=True)


def _unique(table: str, *fields: str, noun: str = "") -> Any:
    return models.UniqueConstraint(fields=fields, name=f"cp_{table}_{noun}key")


def _index(table: str, noun: str, *fields: str, **options: Any) -> Any:
    return models.Index(fields=fields, name=f"cp_{table}_{noun}_idx", **options)


class TableVersion(models.Model):
    """A number of the store's own: the version of its tables."""

    name = _name()
    number = models.BigIntegerField()

    class Meta:
        db_table = "cp_meta"
        verbose_name, verbose_name_plural = _("version of the tables"), _("versions of the tables")
        constraints = (_unique("meta", "name"),)
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name} {self.number}"


class Process(models.Model):
    """What is stored of a process beside its settings and items."""

    name = _name()
    epoch = models.BigIntegerField()
    last_slot = _instant()
    schedule_rule = models.TextField()
    paused_at = _instant()
    pause_note = models.TextField()
    paused_by = models.TextField()
    aggregate_stats = models.TextField()
    swept_at = _instant()
    purge_due = models.BooleanField()
    limits = models.TextField(null=True)  # noqa: DJ001 - none stored
    pace = models.TextField(null=True)  # noqa: DJ001 - no page went out under a rate

    class Meta:
        db_table = "cp_process"
        verbose_name, verbose_name_plural = _("process"), _("processes")
        constraints = (_unique("process", "name"),)
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return str(self.name)


class Settings(models.Model):
    """The stored settings and schedule of a process, which win over the code's."""

    process = _name()
    settings = models.TextField(null=True)  # noqa: DJ001 - no settings and empty ones differ
    schedule = models.TextField(null=True)  # noqa: DJ001 - the same
    version = models.BigIntegerField()
    changed_at = models.BigIntegerField()
    changed_by = models.TextField()

    class Meta:
        db_table = "cp_settings"
        verbose_name = verbose_name_plural = _("settings")
        constraints = (_unique("settings", "process"),)
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return f"{self.process}, version {self.version}"


class SettingsVersion(models.Model):
    """A version of the stored settings and schedule, as it was first stored."""

    process = _name()
    settings = models.TextField(null=True)  # noqa: DJ001 - as in Settings
    schedule = models.TextField(null=True)  # noqa: DJ001 - the same
    version = models.BigIntegerField()
    changed_at = models.BigIntegerField()
    changed_by = models.TextField()

    class Meta:
        db_table = "cp_settings_version"
        verbose_name, verbose_name_plural = _("settings version"), _("settings versions")
        constraints = (_unique("settings_version", "process", "version"),)
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.process}, version {self.version}"


class Work(models.Model):
    """A registered item, on one of the three lists."""

    process = _name()
    name = _name()
    on_list = _word(choices=[(word.value, word.value) for word in WorkList])
    listed_at = models.BigIntegerField()
    params = models.TextField()
    params_version = models.BigIntegerField()

    class Meta:
        db_table = "cp_work"
        verbose_name, verbose_name_plural = _("work item"), _("work items")
        constraints = (_unique("work", "process", "name"),)
        indexes = (
            _index("work", "list", "process", "on_list", "name"),
            _index("work", "changed", "process", "params_version"),
        )
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return f"{self.process}: {self.name}"


class Status(models.Model):
    """How an item ended in the last run that closed over it."""

    process = _name()
    name = _name()
    params_version = models.BigIntegerField()
    epoch = models.BigIntegerField()
    state = _word(choices=[(word.value, word.value) for word in WorkState])
    stats = models.TextField()
    errors = models.TextField()
    error_count = models.BigIntegerField()
    last_error_at = _instant()
    started_at = _instant()
    finished_at = _instant()
    attempt = models.IntegerField()
    token = _name(null=True)

    class Meta:
        db_table = "cp_status"
        verbose_name, verbose_name_plural = _("status"), _("statuses")
        constraints = (_unique("status", "process", "name"),)
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.process}: {self.name} {self.state}"


class Run(models.Model):
    """A run of a process for a slot."""

    process = _name()
    epoch = models.BigIntegerField()
    run_uuid = _name()
    slot = models.BigIntegerField()
    generation = models.IntegerField()
    state = _word(choices=[(word.value, word.value) for word in RunState])
    reason = models.CharField(max_length=32)
    defaults = models.TextField()
    settings_version = models.BigIntegerField()
    work_limit = models.BigIntegerField(null=True)
    error_limit = models.BigIntegerField(null=True)
    redrives = models.TextField()
    listed_before = models.BigIntegerField()
    cursor_list = _word(null=True)
    cursor_name = _name()
    pages_made = models.IntegerField()
    pages_open = models.IntegerField()
    started_at = models.BigIntegerField()
    progress_at = models.BigIntegerField()
    finished_at = _instant()
    notified_at = _instant()
    counts = models.TextField()
    stats = models.TextField()
    total_errors = models.BigIntegerField()
    errors = models.TextField()
    last_error_at = _instant()
    limit_broken = models.TextField(null=True)  # noqa: DJ001 - NULL is what the store writes
    repairs = models.TextField(null=True)  # noqa: DJ001 - as above
    items_purged = models.BooleanField()

    class Meta:
        db_table = "cp_run"
        verbose_name, verbose_name_plural = _("run"), _("runs")
        constraints = (
            _unique("run", "process", "epoch"),
            _unique("run", "process", "slot", "generation", noun="slot_"),
            _unique("run", "process", "run_uuid", noun="uuid_"),
        )
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return f"{self.process}: {self.epoch}-{self.run_uuid} {self.state}"


class Page(models.Model):
    """The items that a run enlisted together."""

    process = _name()
    epoch = models.BigIntegerField()
    page = models.IntegerField()
    token = _name()
    on_list = _word(choices=[(word.value, word.value) for word in WorkList])
    opened_at = models.BigIntegerField()
    is_open = models.BooleanField()

    class Meta:
        db_table = "cp_page"
        verbose_name, verbose_name_plural = _("page"), _("pages")
        constraints = (
            _unique("page", "process", "epoch", "page"),
            _unique("page", "process", "epoch", "token", noun="token_"),
        )
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.process}: run {self.epoch}, page {self.page}"


class Item(models.Model):
    """An item of a run."""

    process = _name()
    epoch = models.BigIntegerField()
    name = _name()
    page_id = models.BigIntegerField()
    on_list = _word(choices=[(word.value, word.value) for word in WorkList])
    params_version = models.BigIntegerField()
    state = _word(choices=[(word.value, word.value) for word in ItemState])
    token = _name()
    sequence = models.BigIntegerField()
    attempt = models.IntegerField()
    lease_until = _instant()
    started_at = _instant()
    finished_at = _instant()
    dispatched_at = _instant()
    dispatches = models.IntegerField()
    outcome = _word(null=True, choices=[(word.value, word.value) for word in WorkState])
    totals = models.TextField()
    error_count = models.BigIntegerField()
    errors = models.TextField()
    last_error_at = _instant()

    class Meta:
        db_table = "cp_item"
        verbose_name, verbose_name_plural = _("item"), _("items")
        constraints = (_unique("item", "process", "epoch", "name"),)
        indexes = (_index("item", "page", "page_id"),)
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.process}: {self.name} of run {self.epoch}, {self.state}"


class Slot(models.Model):
    """An entry of the slot ledger: how a slot ended."""

    process = _name()
    slot = models.BigIntegerField()
    after_slot = _instant()
    slot_end = _word(choices=[(word.value, word.value) for word in SlotEnd])
    noted_at = models.BigIntegerField()
    noted_by = models.TextField()
    run = _name(null=True)

    class Meta:
        db_table = "cp_slot"
        verbose_name, verbose_name_plural = _("slot"), _("slots")
        constraints = (_unique("slot", "process", "slot"),)
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.process}: {self.slot} {self.slot_end}"
