"""Commands in messages can be pasted: they name the user's own app."""

from __future__ import annotations

import shlex
import sys
from types import ModuleType

import pytest
from celery import Celery

from celery_process.commands import command, name_of, pasted


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
    assert pasted("Run: celery -A proj process migrate", app) == f"Run: celery -A {name or 'proj'} process migrate"


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
