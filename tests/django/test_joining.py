"""`django://`: the SQL store on Django's database, and `using=` inside `transaction.atomic()`."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, connections, transaction

from celery_process.exceptions import CannotJoin, ConfigurationError, SettingsChanged, WorkNotFound
from celery_process.protocol.model import RunSpec, SlotRef
from celery_process.protocol.states import Again, ClaimAnswer, RunAnswer
from celery_process.stores import open_store
from celery_process.stores.base import Store


@pytest.fixture
def store(alias: str) -> Iterator[Store]:
    store = open_store(f"django://{alias}", table_prefix="cp_", key_prefix="cp:")
    yield store
    store.close()


@pytest.fixture
def process() -> str:
    return f"p-{uuid4().hex[:12]}"


def listed(store: Store, process: str) -> list[str]:
    from celery_process.protocol.states import WorkList

    return [work.name for work in store.works(process, on=WorkList.ACTIVE, after="", limit=99)]


class Undone(Exception):
    """Rolls a block back."""


def test_rolled_back(store: Store, process: str, alias: str) -> None:
    """What was registered in a block that is rolled back is not there, and was not there for others meanwhile."""
    with pytest.raises(Undone), transaction.atomic(using=alias):  # noqa: PT012
        assert store.register(process, {"a": "{}"}, using=alias) == ("a",)
        raise Undone
    assert listed(store, process) == []


def test_committed(store: Store, process: str, alias: str) -> None:
    """What was registered in a block that commits is claimed by the next run, with its params."""
    with transaction.atomic(using=alias):
        store.register(process, {"a": '{"n":1}', "b": "{}"}, using=alias)
        store.unregister(process, ["b"], using=alias)
        if connections[alias].vendor == "postgresql":  # on SQLite readers do not wait either, but the run's writes would
            assert listed(store, process) == []
    assert listed(store, process) == ["a"]
    now = store.now()
    claim = store.claim_run(process, uuid=uuid4().hex, slot=SlotRef(now, now), spec=RunSpec(), again=Again.ALWAYS, by="")
    assert (claim.answer, claim.run is not None) == (RunAnswer.CLAIMED, True)
    assert claim.run is not None
    page = store.open_page(process, claim.run.id, token="t", size=500, window=1000)
    assert page.names == ("a",)
    (item,) = store.claim(process, claim.run.id, ["a"], token="x", lease=timedelta(seconds=30), max_attempts=3)
    assert (item.answer, item.params) == (ClaimAnswer.CLAIMED, '{"n":1}')


def test_savepoint(store: Store, process: str, alias: str) -> None:
    """An inner block that is rolled back takes its own registrations along, and no others."""
    with transaction.atomic(using=alias):
        store.register(process, {"a": "{}"}, using=alias)
        with pytest.raises(Undone), transaction.atomic(using=alias):  # noqa: PT012
            store.register(process, {"b": "{}"}, using=alias)
            raise Undone
        store.register(process, {"c": "{}"}, using=alias)
    assert listed(store, process) == ["a", "c"]


def test_error_of_ours(store: Store, process: str, alias: str) -> None:
    """A refusal inside a block leaves the rest of the block as it was, and usable."""
    with transaction.atomic(using=alias):
        store.update_settings(process, settings='{"n":1}', schedule=None, using=alias)
        with pytest.raises(SettingsChanged):
            store.update_settings(process, settings='{"n":2}', schedule=None, expected_version=0, using=alias)
        store.register(process, {"a": "{}"}, using=alias)
    assert listed(store, process) == ["a"]
    assert store.overrides(process).settings == '{"n":1}'


def test_error_of_theirs(store: Store, process: str, alias: str) -> None:
    """An IntegrityError that the caller catches in an inner block leaves the registration of the outer one."""
    with transaction.atomic(using=alias):
        store.register(process, {"a": "{}"}, using=alias)
        with pytest.raises(IntegrityError), transaction.atomic(using=alias), connections[alias].cursor() as cursor:  # noqa: PT012
            insert = "INSERT INTO cp_meta (name, number) VALUES ('schema_version', 1)"
            cursor.execute(insert)
    assert listed(store, process) == ["a"]


def test_another_search_path(store: Store, process: str, alias: str) -> None:
    """A block whose search_path leads to another schema is refused, with tables there or without, and nothing is written."""
    if connections[alias].vendor != "postgresql":
        pytest.skip("a database of SQLite has no schemas")
    schema = f"tenant_{uuid4().hex[:8]}"
    with pytest.raises(Undone), transaction.atomic(using=alias), connections[alias].cursor() as cursor:  # noqa: PT012
        cursor.execute("SELECT current_schema()")
        (own,) = cursor.fetchone()
        cursor.execute(f"CREATE SCHEMA {schema}")
        cursor.execute(f"SET LOCAL search_path TO {schema}")
        with pytest.raises(CannotJoin, match="leads elsewhere"):
            store.register(process, {"a": "{}"}, using=alias)
        cursor.execute(f"CREATE TABLE {schema}.cp_work (LIKE {own}.cp_work INCLUDING ALL)")
        cursor.execute(f"CREATE TABLE {schema}.cp_process (LIKE {own}.cp_process INCLUDING ALL)")
        with pytest.raises(CannotJoin, match="leads elsewhere"):
            store.register(process, {"a": "{}"}, using=alias)
        cursor.execute(f"SELECT count(*) FROM {schema}.cp_work")
        assert cursor.fetchone() == (0,)
        cursor.execute(f"SET LOCAL search_path TO {own}, {schema}")
        assert store.register(process, {"b": "{}"}, using=alias) == ("b",)
        raise Undone
    assert listed(store, process) == []


def test_outside_of_a_block(store: Store, process: str, alias: str) -> None:
    """With no block open the write is a transaction of its own on Django's connection."""
    store.register(process, {"a": "{}"}, using=alias)
    assert listed(store, process) == ["a"]
    assert connections[alias].get_autocommit()


def test_without_using(store: Store, process: str, alias: str) -> None:
    """Without `using` a registration is committed by itself, whatever becomes of the block."""
    if connections[alias].vendor == "sqlite":
        pytest.skip("A file has one writer, which the open block is.")
    with pytest.raises(Undone), transaction.atomic(using=alias):  # noqa: PT012
        store.register(process, {"a": "{}"})
        raise Undone
    assert listed(store, process) == ["a"]


def test_threads(store: Store, process: str, alias: str) -> None:
    """Each thread joins the block of its own connection."""
    failed: list[BaseException] = []

    def act(number: int) -> None:
        try:
            with transaction.atomic(using=alias):
                store.register(process, {f"w{number}": "{}"}, using=alias)
                transaction.set_rollback(number % 2 == 1, using=alias)
        except BaseException as error:
            failed.append(error)
        finally:
            connections[alias].close()

    threads = [threading.Thread(target=act, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert listed(store, process) == ["w0", "w2", "w4", "w6"]


@pytest.mark.forks
def test_after_a_fork(store: Store, process: str, alias: str) -> None:
    """A pool child that was forked after the store was used has connections of its own."""
    store.register(process, {"a": "{}"})
    context = multiprocessing.get_context("fork")
    child = context.Process(target=lambda: store.register(process, {"b": "{}"}))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    assert listed(store, process) == ["a", "b"]


@pytest.mark.usefixtures("databases")
@pytest.mark.parametrize("using", ["second", "nowhere", 5])
def test_other_databases(using: Any) -> None:
    """What is not the store's own alias is refused before anything is written, with what to do."""
    store = open_store("django://default")
    with pytest.raises(CannotJoin, match="pass"):
        store.register("other", {"a": "{}"}, using=using)
    assert listed(store, "other") == []
    store.close()


@pytest.mark.usefixtures("databases")
@pytest.mark.parametrize("url", ["django://", "django://nowhere", "django://default/x"])
def test_bad_urls(url: str) -> None:
    """A URL that names no database of the settings says which there are, or how it is written."""
    with pytest.raises(ConfigurationError, match="default"):
        open_store(url)


@pytest.mark.usefixtures("databases")
def test_prefix() -> None:
    """Django's migrations give the tables their names; another prefix is refused."""
    with pytest.raises(ConfigurationError, match="process_table_prefix"):
        open_store("django://default", table_prefix="other_")


@pytest.mark.usefixtures("databases")
def test_other_stores() -> None:
    """An alias for `using` is refused by a store that is not Django's."""
    store = open_store("memory://")
    with pytest.raises(CannotJoin):
        store.register("p", {"a": "{}"}, using="default")
    with pytest.raises(WorkNotFound):
        store.work("p", "a")
    assert connection.alias == "default"


@pytest.mark.usefixtures("databases")
def test_psycopg2_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A project on PostgreSQL without psycopg 3 is told by the system checks what to install; one on SQLite needs none."""
    from celery_process.contrib.django.checks import _check_driver

    assert _check_driver("default", "postgresql") == []
    monkeypatch.setitem(sys.modules, "psycopg", None)
    (error,) = _check_driver("default", "postgresql")
    assert (error.id, "pip install" in error.hint) == ("celery_process.E004", True)
    assert _check_driver("default", "sqlite") == []
