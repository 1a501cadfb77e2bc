"""`manage.py flush`, which a `TransactionTestCase` also calls at its end: Django's own, for the store's tables too."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import flush

from celery_process.contrib.django.tables import flushed_too


class Command(flush.Command):
    """Django's command empties the tables of managed models alone."""

    def handle(self, **options: Any) -> None:
        """Empty all of them together."""
        with flushed_too(options["database"]):
            super().handle(**options)
