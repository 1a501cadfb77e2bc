"""One row in a table is a column, or a verb, in every view: the terminal, the admin and Flower."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from celery.bin.celery import celery
from click.testing import CliRunner

from celery_process import Processes
from celery_process.cli import process as group
from celery_process.cli.verbs import command_of
from celery_process.contrib.flower.board import Board
from celery_process.monitor.cells import Column, Kind, Table
from celery_process.monitor.columns import PROCESSES, TABLES
from celery_process.monitor.secrets import Fact
from celery_process.monitor.verbs import VERBS, Done, Request, Verb
from celery_process.text.sentences import Sentence

from .desk import Site

KEY, HEADING, VALUE = "kept_since", "Kept since", "since Monday"
LISTED = {
    "processes": ["list"],
    "runs": ["runs"],
    "slots": ["slots"],
    "items": ["show", "--on", "active"],
    "settings_history": ["settings", "--history"],
}
"""Each table with the command that prints it."""
PAGES = {
    "processes": "/admin/celery_process/process/",
    "runs": "runs/",
    "slots": "slots/",
    "items": "items/",
    "settings_history": "settings/",
}
"""And with the page of the admin; all but the first are below that of the process."""


@pytest.fixture
def add() -> Iterator[Callable[..., None]]:
    """Give a function that adds a column to a table until the test ends."""
    before = {table.name: table.columns for table in TABLES.values()}

    def add(table: Table, **options: Any) -> None:
        new = Column(KEY, HEADING, Kind.TEXT, lambda _: VALUE, **options)
        object.__setattr__(table, "columns", (*table.columns, new))

    yield add
    for name, columns in before.items():
        object.__setattr__(TABLES[name], "columns", columns)


@pytest.fixture
def terminal(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Give what `celery -A … process` prints."""
    module = ModuleType(f"module_{processes.app.main.replace('-', '_')}")
    module.app = processes.app  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def printed(*arguments: str) -> str:
        done = CliRunner().invoke(celery, ["-A", f"{module.__name__}:app", "process", *arguments])
        assert done.exit_code == 0, done.output
        return done.output

    return printed


def ran(boss: Site) -> None:
    """Make a row of each table."""
    boss.process.register_work("a")
    boss.process.update_settings({"key_ttl": 5}, by="ann")
    boss.process.run_now()


def flower(processes: Processes, boss: Site, table: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the columns and the rows from which Flower's page draws a table."""
    board = Board(processes)
    page = asyncio.run(board.all() if table == "processes" else board.one(boss.process.name))
    return page["columns"][table], page[table]


@pytest.mark.parametrize("table", TABLES)
def test_a_column(processes: Processes, boss: Site, terminal: Any, add: Any, table: str) -> None:
    """It has its heading and its value in text and in JSON, on the admin's page and in what Flower's page draws."""
    ran(boss)
    add(TABLES[table])
    verb, *options = LISTED[table]
    command = [verb, *([] if table == "processes" else [boss.process.name]), *options]
    header, *lines = terminal(*command).splitlines()
    assert HEADING.upper() in header
    assert any(VALUE in line for line in lines)
    assert {row[KEY] for row in json.loads(terminal(*command, "--json"))} == {VALUE}

    page = boss.client.get(PAGES[table] if table == "processes" else boss.url(PAGES[table])).content.decode()
    assert f">{HEADING}</th>" in page
    assert VALUE in page

    if table != "items":  # Flower has no list of items
        columns, rows = flower(processes, boss, table)
        assert columns[-1]["heading"] == HEADING
        assert {(row[KEY], row["texts"][KEY]) for row in rows} == {(VALUE, VALUE)}


def test_a_column_of_processes_is_a_fact_of_each(processes: Processes, boss: Site, add: Any) -> None:
    """It stands on the process's page as well."""
    ran(boss)
    add(PROCESSES)
    assert f"<dt>{HEADING}</dt>" in boss.text()
    page = asyncio.run(Board(processes).one(boss.process.name))
    assert KEY not in page["above"]
    assert page["overview"]["texts"][KEY] == VALUE


def test_a_column_of_a_fact_is_shown_to_whom_the_table_of_permissions_says(
    processes: Processes, boss: Site, add: Any
) -> None:
    """One of params is in the admin for those with `view_work`, and never in Flower."""
    ran(boss)
    add(TABLES["runs"], fact=Fact.PARAMS)
    reader = Site(processes, "view_process", "view_run")
    assert VALUE in boss.text("runs/")
    assert VALUE not in reader.text("runs/")
    assert not [column for column in flower(processes, boss, "runs")[0] if column["key"] == KEY]


@pytest.mark.parametrize("table", TABLES)
def test_a_key_that_is_a_field_is_that_field(boss: Site, table: str) -> None:
    """Where a column has the name of a field of its row, JSON has the field: they are the same value."""
    from celery_process.monitor.overview import read_overview

    ran(boss)
    process = boss.process
    rows = {
        "processes": read_overview(process),
        "runs": next(process.runs()),
        "slots": next(process.slots()),
        "items": next(process.works()),
        "settings_history": process.settings_history()[0],
    }
    row = rows[table]
    for column in TABLES[table].columns:
        if hasattr(row, column.key) and (value := column.value_in(row)) is not None:
            assert value == getattr(row, column.key), column.key


@pytest.fixture
def tidy(monkeypatch: pytest.MonkeyPatch) -> Verb:
    """Add a verb until the test ends: it stores a setting, and says so."""

    def act(process: Any, request: Request) -> Done:
        process.update_settings({"tidied": True}, by=request.by)
        return Done(Sentence("Tidied %(process)s", {"process": process.name}))

    verb = Verb("tidy", "Tidy up", "What lies about goes away.", "process", act, destroys=True)
    monkeypatch.setitem(VERBS, verb.name, verb)
    return verb


def tidied(boss: Site) -> str | None:
    """Return who tidied last."""
    found = next(iter(boss.process.settings_history(1)), None)
    return found.by if found is not None and found.settings == {"tidied": True} else None


class TestAVerb:
    def test_in_the_terminal(self, boss: Site, tidy: Verb, terminal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is a command, with its words in the help, which says what was done."""
        assert set(VERBS) - {"tidy"} <= set(group.commands)
        monkeypatch.setitem(group.commands, "tidy", command_of(tidy))
        assert tidy.question in terminal("tidy", "--help")
        assert terminal("tidy", boss.process.name) == f"{boss.process.name}: Tidied {boss.process.name}\n"
        assert str(tidied(boss)).startswith("cli:")

    def test_in_the_admin(self, boss: Site, processes: Processes, tidy: Verb) -> None:
        """It has its button, its question, its permission, its message and its line in the log."""
        assert f">{tidy.label}…</a>" in boss.text()
        assert tidy.question in boss.text("do/tidy/")
        viewer = Site(processes, "view_process", "change_run")
        assert tidy.label not in viewer.text()
        assert viewer.do("tidy").status_code == 403
        boss.do("tidy")
        assert tidied(boss) == f"admin:{boss.user.username}"
        assert f"Tidied {boss.process.name}." in boss.told()
        assert boss.log() == [f"Tidied {boss.process.name}"]

    def test_in_flower(self, processes: Processes, boss: Site, tidy: Verb) -> None:
        """Its page has the words of the button and of the question, and where it makes sense."""
        from celery_process.contrib.flower.handlers import actions

        page = asyncio.run(Board(processes).one(boss.process.name))
        assert page["verbs"]["tidy"]["question"] == tidy.question
        assert "tidy" in page["overview"]["offered"]
        assert actions()["tidy"] is tidy
