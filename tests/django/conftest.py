"""Django in this process, with three databases: two SQLite files and a PostgreSQL one that tests ask for by fixture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import django
import pytest
import sqlalchemy as sa
from celery import Celery
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from celery_process import Processes, Tolerance

from .desk import HOSTILE, Site, served

POSTGRESQL = {"ENGINE": "django.db.backends.postgresql", "NAME": "", "TIME_ZONE": "Asia/Tokyo"}


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Set Django up once; give the folder of its files."""
    folder = tmp_path_factory.mktemp("django")
    files = {
        alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / f"{alias}.sqlite3", "OPTIONS": options}
        for alias, options in (("default", {"transaction_mode": "IMMEDIATE"}), ("second", {}))
    }
    settings.configure(
        DATABASES={**files, "postgresql": POSTGRESQL},
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django.contrib.admin",
            "django_celery_beat",
            "celery_process.contrib.django",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        SECRET_KEY="not a secret",
        ALLOWED_HOSTS=["testserver"],
        STATIC_URL="/static/",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        LOGGING_CONFIG=None,
    )
    django.setup()
    for alias in files:
        call_command("migrate", database=alias, verbosity=0)
    yield folder
    connections.close_all()


@pytest.fixture(scope="session")
def postgresql_alias(databases: Path, postgresql_url: str) -> str:
    """Give the alias of a migrated PostgreSQL database."""
    url = sa.make_url(postgresql_url)
    options = {key: str(value) for key, value in url.query.items() if key != "host"}
    connections.settings["postgresql"].update(
        NAME=url.database,
        USER=url.username or "",
        PASSWORD=url.password or "",
        HOST=url.host or str(url.query.get("host", "")),
        PORT=str(url.port or ""),
        OPTIONS=options,
    )
    call_command("migrate", database="postgresql", verbosity=0)
    return "postgresql"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server("postgresql"))])
def alias(request: pytest.FixtureRequest, databases: Path) -> str:
    """Give the alias of each database in turn."""
    return "default" if request.param == "sqlite" else str(request.getfixturevalue("postgresql_alias"))


@pytest.fixture(params=["django", pytest.param("redis", marks=pytest.mark.server("redis"))])
def backend(request: pytest.FixtureRequest) -> str:
    """Give the URL of a store on Django's own database, and of one elsewhere."""
    return "django://default" if request.param == "django" else str(request.getfixturevalue("redis_url"))


@pytest.fixture
def processes(databases: Any, backend: str) -> Iterator[Processes]:
    """Give a registry with one process of its own, whose runs have closed when they have begun."""
    app = Celery(f"app-{uuid4().hex[:6]}", set_as_current=False)
    app.conf.update(task_always_eager=True, process_key_prefix=f"cp-test-{uuid4().hex[:8]}:")
    registry = Processes(app, backend=backend)

    @registry.process(
        f"key_gc-{uuid4().hex[:8]}",
        schedule=3600,
        settings={"key_ttl": 60, "api_key": "of the code"},
        tolerance=Tolerance(5, 50),
    )
    def collect(work: Any) -> None:
        if work.params.get("broken"):
            raise ValueError(HOSTILE)

    with served():
        yield registry
    registry.store.close()


@pytest.fixture
def django_queries(databases: Any) -> Callable[[], Any]:
    """Give a context that lists the queries of Django's default connection."""
    from django.test.utils import CaptureQueriesContext

    return lambda: CaptureQueriesContext(connections["default"])


@pytest.fixture
def boss(processes: Processes) -> Site:
    return Site(processes, superuser=True)
