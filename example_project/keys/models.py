"""Projects, the service accounts that a cloud has for them, and the keys of those."""

from __future__ import annotations

from typing import Any

from django.core.validators import MinValueValidator
from django.db import models, transaction
from django.utils import timezone


class AccountOnHold(Exception):
    """Neither the account nor its keys may be removed."""


class Project(models.Model):
    """A project: one work item of `key-gc`, registered in the transaction that saves it (see `registration`)."""

    name = models.SlugField(primary_key=True, max_length=100)
    keys_per_account = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=(MinValueValidator(1),),
        help_text="Keys that an account may keep; empty: as the settings of key-gc say.",
    )

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return str(self.name)

    def save(self, *args: Any, **options: Any) -> None:
        """Save and register both, or neither, also where nobody opened a transaction."""
        with transaction.atomic(using=options.get("using")):
            super().save(*args, **options)

    @property
    def params(self) -> dict[str, int]:
        """The params of its work item, which overlay the settings."""
        return {} if self.keys_per_account is None else {"keysPerAccount": self.keys_per_account}


class ServiceAccount(models.Model):
    """An account at the cloud. It names its project by text, and so outlives it until `key-gc` cleans up."""

    project = models.CharField(max_length=100, db_index=True)
    email = models.EmailField(unique=True)
    managed = models.BooleanField(default=True, help_text="Made by this system; what others made is left alone.")
    on_hold = models.BooleanField(default=False, help_text="Neither it nor its keys may be removed.")

    class Meta:
        ordering = ("project", "email")

    def __str__(self) -> str:
        return str(self.email)

    def refuse_on_hold(self) -> None:
        """Raise `AccountOnHold` for an account that is."""
        if self.on_hold:
            raise AccountOnHold(f"{self.email} is on hold")


class Key(models.Model):
    """A key of an account."""

    account = models.ForeignKey(ServiceAccount, on_delete=models.CASCADE, related_name="keys")
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("account", "-made_at")
        indexes = (models.Index(fields=("account", "-made_at"), name="key_newest_idx"),)

    def __str__(self) -> str:
        return f"{self.account}: {self.made_at:%Y-%m-%d %H:%M:%S}"
