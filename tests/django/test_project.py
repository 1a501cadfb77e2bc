"""A small Django project as users have them, with one process: settings, commands, a worker, its own tasks as before."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SHOP = Path(__file__).parent / "shop"


class Shop:
    """A copy of the project, with a folder for its database and its messages; `settings` go behind its own."""

    def __init__(self, data: Path, settings: str = "") -> None:
        for folder in ("broker", "control"):
            (data / folder).mkdir()
        self.home = data / "shop"
        shutil.copytree(SHOP, self.home, ignore=shutil.ignore_patterns("__pycache__"))
        with (self.home / "shop" / "settings.py").open("a", encoding="utf-8") as file:
            file.write(settings)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
            "SHOP_DATA": str(data),
            "DJANGO_SETTINGS_MODULE": "shop.settings",
            "PYTHONPATH": str(self.home),
        }

    def call(self, *command: str, fails: bool = False) -> str:
        """Run a command of `manage.py`; return what it printed."""
        line = [sys.executable, "manage.py", *command]
        done = subprocess.run(
            line, env=self.environment, cwd=self.home, capture_output=True, text=True, check=False, timeout=60
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def shell(self, code: str) -> str:
        """Run code in the project; return what it printed."""
        setup = "import django; django.setup()\n"
        line = [sys.executable, "-c", setup + code]
        done = subprocess.run(
            line, env=self.environment, cwd=self.home, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Shop]:
    return lambda settings="": Shop(tmp_path, settings)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.call("migrate", "--verbosity", "0")
    return shop


@pytest.fixture
def worker(shop: Shop) -> Iterator[subprocess.Popen[bytes]]:
    line = [sys.executable, "-m", "celery", "-A", "shop", "worker", "-c", "1", "-l", "warning"]
    with subprocess.Popen(line, env=shop.environment, cwd=shop.home) as worker:
        yield worker
        worker.terminate()


def until(look: Callable[[], Any], seconds: float = 60) -> Any:
    """Return what `look` gives once it is true."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.3)
    return found


OUTSET = """
from datetime import timedelta
from django.db import transaction
from django.utils import timezone
from keys.models import Key, Project
from keys.processes import collect_keys
from shop.celery import processes
process = processes["key-gc"]
def add(name, ages):
    project = Project.objects.create(name=name)
    for age in ages:
        Key.objects.create(project=project, made_at=timezone.now() - timedelta(seconds=age))
    process.register_work(name, using="default")
"""


@pytest.mark.usefixtures("worker")
def test_story(shop: Shop) -> None:
    """Projects are registered in the transaction that makes them, one of which fails; a run removes what is too old."""
    shop.shell(
        OUTSET
        + """
with transaction.atomic():
    add("one", [10, 4000, 5000])
    add("two", [7200])
try:
    with transaction.atomic():
        add("three", [1, 9999])
        raise ValueError
except ValueError:
    pass
"""
    )
    shop.call("celery_process", "run", "key-gc")

    def ended() -> Any:
        (run,) = json.loads(shop.call("celery_process", "runs", "key-gc", "--json"))
        return run if run["state"] == "COMPLETED" else None

    run = until(ended)
    assert (run["stats"]["workItems"], run["stats"]["work.keys_removed"]) == (2, 3)
    assert shop.shell(OUTSET + "print(sorted(Key.objects.values_list('project__name', flat=True)))").strip() == "['one']"
    assert "key-gc" in shop.call("celery_process", "list")


def test_other_tasks_go_on(shop: Shop) -> None:
    """The tasks that the project had are registered as ever, beside those of the process."""
    names = shop.shell("from shop.celery import app; app.loader.import_default_modules(); print(*sorted(app.tasks))").split()
    assert {"keys.tasks.greet", "key-gc.schedule", "key-gc.work", "key-gc.cleanup"} <= set(names)


def test_in_a_test(shop: Shop) -> None:
    """With `task_always_eager` a run has closed when `run_now` returns, so that a process can be tested in one process."""
    said = shop.shell(
        OUTSET
        + """
from shop.celery import app
app.conf.task_always_eager = True
add("one", [4000])
print(process.run_now().state.value, Key.objects.count())
"""
    )
    assert said.split() == ["COMPLETED", "0"]


def test_views(shop: Shop) -> None:
    """Who may look gets the original's documents, others 401 or 403; nothing else than looking is allowed."""
    said = shop.shell(
        OUTSET
        + """
import json
from django.contrib.auth.models import Permission, User
from django.test import Client
from shop.celery import app
app.conf.task_always_eager = True
process.register_work("<b>&", {"key_ttl": 60, "note": "x", "more": [1, 2]})
process.register_work("old")
process.unregister_work("old")
add("one", [4000])
run = process.run_now()
process.register_work("zz")
process.unregister_work("late")
client = Client()
words = [client.get("/processes").status_code]
user = User.objects.create_user("ann")
client.force_login(user)
words.append(client.get("/processes/key-gc").status_code)
user.user_permissions.set(Permission.objects.filter(content_type__app_label="celery_process", codename__startswith="view"))
answers = [client.get(path) for path in (
    "/processes", "/processes/key-gc", "/processes/key-gc?works=1", "/processes/none", "/processes?works=x",
    "/processes/key-gc?works=1&after=old", "/processes/key-gc?works=1&after=one")]
words += [answer.status_code for answer in answers] + [client.post("/processes/key-gc").status_code]
print(json.dumps([words, run.id, *(answer.json() for answer in answers)]))
"""
    )
    words, run, whole, one, cut, none, wrong, more, rest = json.loads(said)
    assert words == [401, 403, 200, 200, 200, 404, 400, 200, 200, 405]
    assert whole == {"processes": {"key-gc": one["process"]}}
    assert "'none'" in none["error"]
    assert "works" in wrong["error"]
    made = one["process"]
    assert (made["processName"], made["instance"], made["scheduleFrequency"]) == ("key-gc", run.partition("-")[2], "3600s")
    assert made["settings"] == {"intParams": {"key_ttl": "3600"}}
    assert list(made["activeWork"]) == ["<b>&", "one", "zz"]
    hostile = made["activeWork"]["<b>&"]
    assert hostile["params"] == {"intParams": {"key_ttl": "60"}, "stringParams": {"note": "x", "more": "[1,2]"}}
    assert made["activeWork"]["one"]["status"]["stats"] == {"keys_removed": 1}
    assert made["activeWork"]["zz"]["status"]["state"] == "NEW"
    assert list(made["cleanupWork"]) == ["late"]
    assert list(made["droppedWork"]) == ["old"]
    status = made["processStatus"]
    assert (status["state"], status["progressTime"]) == ("COMPLETED", status["finishTime"])
    assert status["stats"] == made["aggregateStats"]
    assert (status["stats"]["workItems"], status["stats"]["workItemsCleaned"]) == (2, 1)
    assert status["startTime"].endswith("Z")
    pages = [answer["process"] for answer in (cut, more, rest)]
    found = [tuple(list(page.get(key, ())) for key in ("activeWork", "cleanupWork", "droppedWork")) for page in pages]
    assert found == [(["<b>&"], ["late"], ["old"]), (["one"], [], []), (["zz"], [], [])], "each item is on one page"
    assert [page.get("next") for page in pages] == ["old", "one", None]


def test_health(shop: Shop) -> None:
    """Everybody learns whether all is well, who may look also why not; the status is one that a probe understands."""
    said = shop.shell(
        OUTSET
        + """
import json
from django.contrib.auth.models import Permission, User
from django.test import Client
client = Client()
probe = client.get("/processes/health")
user = User.objects.create_user("ann")
user.user_permissions.add(Permission.objects.get(codename="view_process"))
client.force_login(user)
told = client.get("/processes/health")
print(json.dumps([probe.status_code, probe.json(), told.status_code, told.json(), client.post("/processes/health").status_code]))
"""
    )
    status, probe, told_status, told, post = json.loads(said)
    assert (status, probe, post) == (503, {"ok": False}, 405)  # no worker serves the queue
    assert (told_status, told["ok"]) == (503, False)
    found = {finding["check"]: finding for finding in told["findings"]}
    assert found["store"]["ok"]
    assert not found["workers"]["ok"]
    assert found["workers"]["cure"]


def test_probes(make: Callable[[str], Shop]) -> None:
    """Whether the program lives is answered where neither store nor broker nor cache can be reached, and asks none."""
    shop = make(
        """
DATABASES["default"]["NAME"] = "/nowhere/at/all"
CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}}
"""
    )
    said = shop.shell(
        """
import json, time
from django.test import Client
from celery_process.monitor import health
asked = []
health._store = lambda processes: asked.append("store") or []
client = Client()
live = client.get("/processes/live")
before = list(asked)
answers = [client.get("/processes/health") for _ in range(5)]
print(json.dumps([live.status_code, live.json(), before, [answer.status_code for answer in answers], asked]))
"""
    )
    assert json.loads(said) == [200, {"ok": True}, [], [503] * 5, ["store"]]


def test_commands(shop: Shop) -> None:
    """The exit status is the command's; an error is one line; the tables are Django's to make."""
    said = shop.call("celery_process", "show", "nothing", fails=True)
    assert "defines no process 'nothing'" in said
    assert "Traceback" not in said
    shop.call("celery_process", "pause", "key-gc", "--note", "upstream is down")
    assert "upstream is down" in shop.call("celery_process", "show", "key-gc")
    shop.call("migrate", "celery_process", "zero", "--verbosity", "0")
    said = shop.call("celery_process", "migrate", fails=True)
    assert "manage.py migrate celery_process" in said
    shop.call("makemigrations", "--check", "--dry-run")


def test_all_is_well(shop: Shop) -> None:
    """The settings of the project pass the system checks."""
    assert "no issues" in shop.call("check", "--fail-level", "WARNING")


@pytest.mark.parametrize(
    ("settings", "number", "words"),
    [
        ("CELERY_PROCESS_BACKEND = ''", "E002", "django://default"),
        ("CELERY_PROCESS_SWEEP_INTERVALL = 3", "E001", "CELERY_PROCESS_SWEEP_INTERVAL'"),
        ("CELERY_PROCESS_BACKEND = 'django://other'", "E003", "default"),
        ("DATABASES['default']['AUTOCOMMIT'] = False", "W002", "AUTOCOMMIT"),
        ("del DATABASES['default']['OPTIONS']", "W003", "IMMEDIATE"),
        ("TENANT_APPS = ['celery_process.contrib.django']", "E005", "SHARED_APPS"),
    ],
)
def test_checks(make: Callable[[str], Shop], settings: str, number: str, words: str) -> None:
    """A mistake in the settings is told by `manage.py check`, with what to do."""
    said = make(f"\n{settings}\n").call("check", "--fail-level", "WARNING", fails=True)
    assert f"celery_process.{number}" in said
    assert words in said


def test_importing_connects_to_nothing(make: Callable[[str], Shop]) -> None:
    """A project can be imported and checked before there is a database."""
    shop = make("\nDATABASES['default']['NAME'] = '/nowhere/at/all'\n")
    shop.call("check")
    assert shop.shell("from shop.celery import processes; print(len(processes))").strip() == "1"
