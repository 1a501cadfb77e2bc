"""Realms, the identities in them, and the operations that take longer than a request may."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone


class Realm(models.Model):
    """A realm."""

    name = models.SlugField(primary_key=True, max_length=100)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return str(self.name)


class Identity(models.Model):
    """Somebody known in a realm."""

    realm = models.ForeignKey(Realm, on_delete=models.PROTECT)
    subject = models.CharField(max_length=100)

    class Meta:
        verbose_name_plural = "identities"
        constraints = (models.UniqueConstraint(fields=("realm", "subject"), name="identity_key"),)

    def __str__(self) -> str:
        return f"{self.subject} in {self.realm_id}"


class State(models.TextChoices):
    """How far an operation is, in the words that the states of work items have."""

    QUEUED = "queued"
    ACTIVE = "active"
    INCOMPLETE = "incomplete"
    ABORTED = "aborted"
    COMPLETED = "completed"


OPEN = (State.QUEUED, State.ACTIVE, State.INCOMPLETE)


class Operation(models.Model):
    """One long-running operation: one work item of the process `operations`, until it has ended."""

    name = models.CharField(primary_key=True, max_length=191)
    kind = models.CharField(max_length=40)
    label = models.CharField(max_length=200)
    realm = models.CharField(max_length=100)
    requested_by = models.CharField(max_length=150, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.QUEUED)
    items_removed = models.PositiveIntegerField(default=0)
    requested_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    worked_at = models.DateTimeField(null=True, db_index=True)
    finished_at = models.DateTimeField(null=True)
    fence = models.BigIntegerField(default=0, help_text="The highest fencing token that worked on it.")

    class Meta:
        ordering = ("-requested_at",)

    def __str__(self) -> str:
        return str(self.label)

    @property
    def params(self) -> dict[str, Any]:
        """The params of its work item."""
        found = {"id": self.name, "operation": self.kind, "label": self.label, "realm": self.realm}
        return {**found, "email": self.requested_by} if self.requested_by else found
