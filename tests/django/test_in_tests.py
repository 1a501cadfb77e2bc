"""A project's own tests use its processes: `manage.py test`, with each kind of test case and database."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from .test_project import Shop

EAGER = "\nCELERY_TASK_ALWAYS_EAGER = True\n"
COMMITTING = """
from django.test import TransactionTestCase
from keys.processes import collect_keys


class Committing(TransactionTestCase):
    def used(self):
        self.assertEqual(list(collect_keys.works()), [])
        collect_keys.register_work("one")
        self.assertEqual(collect_keys.run_now().state.value, "COMPLETED")
        self.assertEqual([work.status.state.value for work in collect_keys.works()], ["COMPLETED"])

    def test_once(self):
        self.used()

    def test_again(self):
        self.used()
"""
SHARING = """
import threading
from django.db import transaction
from django.test import TestCase
from celery_process.contrib.django.testing import SharedConnectionMixin
from celery_process.exceptions import StoreUnavailable
from keys.processes import collect_keys


class Sharing(SharedConnectionMixin, TestCase):
    @classmethod
    def setUpTestData(cls):
        collect_keys.register_work("of all")

    def names(self):
        return [work.name for work in collect_keys.works()]

    def used(self):
        self.assertEqual(self.names(), ["of all"])
        collect_keys.register_work("plain")
        collect_keys.register_work("using", using="default")
        self.assertEqual(collect_keys.run_now().stats["workItems"], 3)
        self.assertEqual([run.state.value for run in collect_keys.runs()], ["COMPLETED"])

    def test_once(self):
        self.used()

    def test_again(self):
        self.used()

    def test_savepoint(self):
        try:
            with transaction.atomic():
                collect_keys.register_work("undone")
                raise KeyError
        except KeyError:
            pass
        self.assertEqual(self.names(), ["of all"])

    def test_other_thread(self):
        raised = []

        def use():
            try:
                self.names()
            except StoreUnavailable as error:
                raised.append(str(error))

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        self.assertIn("another thread", raised[0])


class Unshared(TestCase):
    def test_no_more(self):
        from celery_process.contrib.django.databases import sharing

        self.assertIsNone(sharing())
"""


def postgresql(url: str) -> str:
    """Return the settings of a project on that database."""
    at = sa.make_url(url)
    name, options = at.database, {key: str(value) for key, value in at.query.items() if key != "host"}
    host = at.host or str(at.query.get("host", ""))
    return f"""
DATABASES["default"] = {{
    "ENGINE": "django.db.backends.postgresql", "NAME": {name!r}, "USER": {at.username or ""!r},
    "PASSWORD": {at.password or ""!r}, "HOST": {host!r}, "PORT": "{at.port or ""}", "OPTIONS": {options!r},
}}
"""


def run_tests(shop: Shop, code: str) -> str:
    (shop.home / "keys" / "tests.py").write_text(code, encoding="utf-8")
    said = shop.call("test", "--noinput")
    assert re.search(r"^OK$", said, re.MULTILINE), said
    return said


def test_on_sqlite(tmp_path: Path) -> None:
    """Tests on a file commit, are flushed and go on; what shares Django's connection is undone with each test."""
    shop = Shop(tmp_path, EAGER + "DATABASES['default']['TEST'] = {'NAME': DATA / 'test.sqlite3'}\n")
    assert "Ran 7 tests" in run_tests(shop, COMMITTING + SHARING)
    assert not list(tmp_path.glob("*.sqlite3*"))


def test_without_migrations(tmp_path: Path) -> None:
    """The same in tests that make their database without migrations, and put back what was there before them."""
    shop = Shop(tmp_path, EAGER + "DATABASES['default']['TEST'] = {'NAME': DATA / 'test.sqlite3', 'MIGRATE': False}\n")
    restored = COMMITTING.replace("    def used", "    serialized_rollback = True\n\n    def used")
    assert "Ran 7 tests" in run_tests(shop, restored + SHARING)


def test_in_memory(tmp_path: Path) -> None:
    """SQLite's usual database of a test, which no other connection sees, serves those that share Django's."""
    assert "Ran 5 tests" in run_tests(Shop(tmp_path, EAGER), SHARING)


@pytest.mark.server("postgresql")
def test_on_postgresql(tmp_path: Path, postgresql_url: str) -> None:
    """The same; in the end the database of the tests can be dropped, for the store has no connection to it."""
    shop = Shop(tmp_path, EAGER + postgresql(postgresql_url))
    assert "Ran 7 tests" in run_tests(shop, COMMITTING + SHARING)
    engine = sa.create_engine(postgresql_url)
    with engine.connect() as conn:
        name = f"test_{sa.make_url(postgresql_url).database}"
        assert conn.execute(sa.text("SELECT count(*) FROM pg_database WHERE datname = :name"), {"name": name}).scalar() == 0
    engine.dispose()


def test_a_store_used_before_the_tests(tmp_path: Path) -> None:
    """A store that a project used while it started works on the tests' database in tests, not on the project's."""
    shop = Shop(tmp_path, EAGER + "DATABASES['default']['TEST'] = {'NAME': DATA / 'test.sqlite3'}\n")
    shop.call("migrate", "--verbosity", "0")
    with (shop.home / "shop" / "urls.py").open("a", encoding="utf-8") as file:
        file.write("\nfrom keys.processes import collect_keys\ncollect_keys.register_work('of the project')\n")
    with (shop.home / "shop" / "settings.py").open("a", encoding="utf-8") as file:
        file.write("CELERY_IMPORTS = ('shop.urls',)\n")
    run_tests(shop, "import shop.urls\n" + COMMITTING)
    assert "of the project" in shop.shell(
        "from keys.processes import collect_keys; print([work.name for work in collect_keys.works()])"
    )
