"""Django in this process, with three databases: two SQLite files and a PostgreSQL one that tests ask for by fixture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import django
import pytest
import sqlalchemy as sa
from django.conf import settings
from django.core.management import call_command
from django.db import connections

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
        INSTALLED_APPS=["django.contrib.contenttypes", "celery_process.contrib.django"],
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
