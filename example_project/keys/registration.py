"""Projects are the work items of `key-gc`: registered and unregistered in the transaction that saves or deletes them."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from example_project.access.celery import processes
from example_project.keys.models import Project


@receiver(post_save, sender=Project)
def register(instance: Project, using: str, **_: Any) -> None:
    """Register a project, anew if its params changed; the same params again write nothing."""
    processes["key-gc"].register_work(instance.name, instance.params, using=using)


@receiver(post_delete, sender=Project)
def unregister(instance: Project, using: str, **_: Any) -> None:
    """Unregister a project, so that a run removes its accounts."""
    processes["key-gc"].unregister_work(instance.name, using=using)
