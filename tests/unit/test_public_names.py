"""What `celery_process` exports, and what importing it does not bring along."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import celery_process

NAMES = [
    "ErrorAction",
    "Process",
    "ProcessError",
    "Processes",
    "Progress",
    "RunState",
    "Store",
    "Tolerance",
    "Work",
    "WorkState",
    "Worker",
    "exceptions",
    "shared_process",
    "signals",
]
OPTIONAL = ["sqlalchemy", "redis", "django", "django_celery_beat", "flower", "pytest", "psycopg", "click_repl"]


def test_the_exported_names() -> None:
    """The public names are these, sorted, and no other."""
    assert celery_process.__all__ == NAMES
    assert sorted(NAMES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_there_and_says_what_it_is(name: str) -> None:
    """Each exported name leads to something with a docstring."""
    assert getattr(celery_process, name).__doc__


def test_the_module_has_no_public_name_beside_them() -> None:
    """What one finds in the module is what it exports, and modules."""
    found = {
        name
        for name, value in vars(celery_process).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert found - {"annotations"} == set(NAMES) - {"exceptions", "signals"}


def test_importing_brings_none_of_the_optional_packages() -> None:
    """`import celery_process` needs Celery only: no driver, no framework, no test tool, but for what kombu itself brings."""
    code = f"import sys, celery.app; by_celery = set(sys.modules); import celery_process; print(sorted(set({OPTIONAL!r}) & (set(sys.modules) - by_celery)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_connects_and_writes_nothing() -> None:
    """Neither the import nor the definition of a process opens the store."""
    code = """
import socket, sqlite3
def refuse(*arguments, **options):
    raise SystemExit(f"opened {arguments}")
socket.socket.connect = sqlite3.connect = refuse
from celery import Celery
from celery_process import Processes
app = Celery("quiet", broker="redis://127.0.0.1:1/0")
processes = Processes(app, backend="postgresql+psycopg://127.0.0.1:1/none")
process = processes.process("key-gc", schedule=60)(lambda work: None)
app.finalize()
print(process.name, sorted(app.conf.beat_schedule))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("key-gc ['key-gc.schedule']\n", 0), done.stderr
