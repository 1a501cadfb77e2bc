"""`manage.py seed`: the tables, a user, and something to look at."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from example_project.access.seed import LOGIN, seed


class Command(BaseCommand):
    """Migrates and seeds."""

    help = "Make the tables, a user, and something for the processes to do."

    def handle(self, *_: Any, **__: Any) -> None:
        """Do it once more; what is there already stays."""
        call_command("migrate", verbosity=0)
        operation = seed()
        self.stdout.write(f"Seeded: projects with accounts and keys, and an operation ({operation}). Login: {LOGIN}/{LOGIN}")
