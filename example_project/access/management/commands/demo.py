"""`manage.py demo`: seed the database, start web, worker and beat, and tell how the runs go until Ctrl-C."""

from __future__ import annotations

import subprocess
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from example_project.access.news import News
from example_project.access.seed import LOGIN
from example_project.programs import free_port, interruptible, running

ROOT = Path(__file__).parents[4]
PATIENCE = 180
"""Seconds that `--once` waits for what it wants to see; a slow disk may need them."""
Programs = Mapping[str, subprocess.Popen[bytes]]


class Command(BaseCommand):
    """Runs the whole example as children of this command."""

    help = "Seed the database, start web, worker and beat, and tell how the runs go until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--port", type=int, default=8000, help="where the web server looks first for a free one")
        parser.add_argument("--seconds", type=float, help="end by itself after so long")
        parser.add_argument("--once", action="store_true", help="end once each process has run and no operation is open")

    def handle(self, *_: Any, port: int, seconds: float | None, once: bool, **__: Any) -> None:
        """Run until Ctrl-C, or as the options say."""
        with interruptible():
            call_command("migrate", verbosity=0)
            news = News()
            call_command("seed", stdout=self.stdout)
            port = free_port(port)
            with programs(port) as started:
                self.stdout.write(f"Web, worker and beat are started; their logs are in {settings.FOLDER}.")
                self.stdout.write(f"http://127.0.0.1:{port}/admin/  login {LOGIN}, password {LOGIN}. Ctrl-C ends all three.")
                self._follow(news, started, seconds=PATIENCE if once else seconds, once=once)
        self.stdout.write("Web, worker and beat have ended.")

    def _follow(self, news: News, started: Programs, *, seconds: float | None, once: bool) -> None:
        end = None if seconds is None else time.monotonic() + seconds
        while end is None or time.monotonic() < end:
            for line in news.lines():
                self.stdout.write(line)
            self.stdout.flush()
            dead = [name for name, program in started.items() if program.poll() is not None]
            if dead:
                raise CommandError(f"{' and '.join(dead)} ended too early; see the log in {settings.FOLDER}.")
            if once and news.is_complete():
                return
            time.sleep(0.5)
        if once:
            raise CommandError(f"Not all was done within {PATIENCE} seconds; see the logs in {settings.FOLDER}.")


@contextmanager
def programs(port: int) -> Iterator[Programs]:
    """Run the three programs inside the block."""
    celery = ("-m", "celery", "-A", "example_project.access")
    lines = {
        "web": ("example_project/manage.py", "runserver", "--noreload", "--insecure", f"127.0.0.1:{port}"),
        # Without what only talks to other workers, and would leave files behind in the folder of messages.
        "worker": (*celery, "worker", "--without-gossip", "--without-mingle", "-l", "INFO"),
        "beat": (*celery, "beat", "--pidfile=", "-l", "INFO"),
    }
    settings.FOLDER.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                running(
                    *line,
                    log=settings.FOLDER / f"{name}.log",
                    cwd=ROOT,
                    environment={"EXAMPLE_FOLDER": str(settings.FOLDER)},
                )
            )
            for name, line in lines.items()
        }
