"""A real Django project in a folder: its web server, worker and beat, each an operating-system process of the test."""

from __future__ import annotations

import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from celery import Celery

from celery_process import Processes
from tests.servers import free_port

from .waiting import wait_for
from .watching import Stage

PROJECT = Path(__file__).parent / "apps" / "office"
USER, PASSWORD = "ann", "a long word"


class Office(Stage):
    """The project, migrated, with one superuser."""

    app = "office"

    def move_in(self) -> None:
        """Copy the project, make its database and its user."""
        shutil.copytree(PROJECT, self.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        self.env |= {"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(self.folder)}
        self.manage("migrate", "--verbosity", "0")
        self.env |= {"DJANGO_SUPERUSER_PASSWORD": PASSWORD}
        self.manage("createsuperuser", "--noinput", "--username", USER, "--email", "ann@example.org")

    def manage(self, *arguments: str) -> str:
        """Run a command of the project; return what it printed."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def processes(self) -> Processes:
        """Return a registry of this interpreter over the same store, which knows the process by its name."""
        registry = Processes(Celery("here", set_as_current=False), backend=f"sqlite:///{self.folder}/office.sqlite3")
        registry.process("feeds", schedule=3600)(lambda work: None)
        return registry

    @contextmanager
    def web(self) -> Iterator[str]:
        """Run the web server inside the block; give its URL once it answers."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        with self.started("web", "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}") as log:

            def answers() -> bool:
                try:
                    with urllib.request.urlopen(f"{url}/admin/login/", timeout=10) as answer:
                        return bool(answer.status == 200)
                except urllib.error.HTTPError as error:
                    raise AssertionError(f"{error}; {log.read_text()}") from error
                except OSError:
                    return False

            wait_for(answers, what=f"the web server; {log}")
            yield url

    @contextmanager
    def beat(self) -> Iterator[None]:
        """Run beat over the rows of django-celery-beat inside the block."""
        with self.running("beat", "beat", "-l", "INFO", "--pidfile=") as log:
            wait_for(lambda: "beat: Starting" in log.read_text(), what=f"beat; {log}")
            yield
