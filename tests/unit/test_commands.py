"""Commands in messages can be pasted: they name the user's own app."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa
from celery import Celery

from celery_process import Processes
from celery_process.exceptions import SchemaMismatch
from celery_process.text.commands import command, commands_begin_with, name_of, with_app_name


@pytest.mark.parametrize(
    ("modules", "name"),
    [
        ({"cp_shop.celery": "app"}, "cp_shop"),
        ({"cp_shop": "celery"}, "cp_shop"),
        ({"cp_shop.work": "app"}, "cp_shop.work"),
        ({"cp_shop": "celery_app"}, "cp_shop:celery_app"),
        ({"cp_shop.celery": "app", "cp_shop": "celery_app", "cp_a": "app"}, "cp_shop"),
        ({}, None),
    ],
)
def test_an_app_is_named_as_dash_a_finds_it(
    modules: dict[str, str], name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the module that has it, or by module and attribute; where no module has it, the message stays as it is."""
    app = Celery("cp_shop", set_as_current=False)
    for module, attribute in modules.items():
        made = ModuleType(module)
        setattr(made, attribute, app)
        monkeypatch.setitem(sys.modules, module, made)
    assert name_of(app) == name
    assert with_app_name("Run: celery -A proj process migrate", app) == f"Run: celery -A {name or 'proj'} process migrate"


def test_a_command_of_a_name_can_be_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell reads each name as one word, and the command line as no option; what acts on a screen is its escape."""
    app = Celery("cp_shop", set_as_current=False)
    made = ModuleType("cp_shop")
    monkeypatch.setattr(made, "app", app, raising=False)
    monkeypatch.setitem(sys.modules, "cp_shop", made)
    assert command(app, "work", "p", "a") == "celery -A cp_shop process work p a"
    for name in ("it's; rm -rf $HOME", "a b", "`x`", '"', "é", "\\n"):
        assert shlex.split(command(app, "work", "p", name))[3:] == ["process", "work", "p", name]
    assert shlex.split(command(app, "work", "p", "--json"))[3:] == ["process", "work", "--", "p", "--json"]
    assert "\x1b" not in command(app, "work", "p", "\x1b[2J")


def test_a_store_that_an_app_opened_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An error of the tables that reaches a caller, a log or a page has the command with the app's own name."""
    app = Celery("cp_shop", set_as_current=False)
    app.conf.process_backend = f"sqlite:///{tmp_path}/newer.db"
    module = ModuleType("cp_shop.celery")
    module.app = app  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cp_shop.celery", module)
    processes = Processes(app)
    processes.store.migrate()
    with sa.create_engine(app.conf.process_backend).begin() as connection:
        connection.execute(sa.text("UPDATE cp_meta SET number = 99"))
    with pytest.raises(SchemaMismatch) as refused:
        processes.store.check()
    assert refused.value.command == "celery -A cp_shop process migrate"
    assert str(refused.value).endswith(refused.value.command)


def test_a_command_line_goes_on_as_it_was_begun() -> None:
    """Commands in what `manage.py celery_process` prints are its own, while those of Celery's are as ever."""
    app = Celery("cp_shop", set_as_current=False)
    text = "Run: celery -A proj process work a, or celery -A proj beat"
    with commands_begin_with("python manage.py celery_process"):
        assert with_app_name(text, app) == "Run: python manage.py celery_process work a, or celery -A proj beat"
    assert with_app_name(text, app) == text
