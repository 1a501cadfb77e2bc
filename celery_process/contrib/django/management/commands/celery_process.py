"""`manage.py celery_process …`: the command line of `celery -A proj process …`, on the project's own app."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from celery.bin.base import CLIContext
from django.core.management.base import BaseCommand, CommandError

from celery_process.app import Processes, registries
from celery_process.contrib.commands import process
from celery_process.text.commands import command, commands_begin_with


def _commands(found: Sequence[Processes]) -> list[str]:
    return [command(registry.app, "…") for registry in found]


class Command(BaseCommand):
    """Hands its arguments to the group of commands as they are."""

    help = "Processes: look at them, run them, pause them, change their work and settings."
    requires_system_checks: list[str] = []  # noqa: RUF012 - the name and kind are Django's

    def run_from_argv(self, argv: list[str]) -> None:
        """Run one command; its exit status is the command's."""
        try:
            self.handle(*argv[2:])
        except CommandError as error:
            self.stderr.write(f"Error: {error}")
            sys.exit(error.returncode)

    def handle(self, *args: Any, **_: Any) -> None:
        """Run one command, for `call_command` too."""
        found = registries()
        if len(found) != 1:
            raise CommandError(
                f"Several Celery apps have processes; choose one of them: {', or '.join(_commands(found))}"
                if found
                else "No Celery app has processes; make a Processes(app) beside the app, and import that module in the "
                "project's __init__.py."
            )
        obj = CLIContext(app=found[0].app, no_color=False, workdir=None)
        with commands_begin_with("python manage.py celery_process"):
            process.main(args=list(args), prog_name="manage.py celery_process", obj=obj)

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        """Return a parser that passes all arguments on unchanged."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.add_argument("args", nargs="*")
        return parser
