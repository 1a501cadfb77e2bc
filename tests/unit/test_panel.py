"""What the page of a process shows, and how settings are shown and edited without their secrets."""

from __future__ import annotations

import pytest
from celery import Celery

from celery_process import Processes
from celery_process.exceptions import InvalidValue
from celery_process.panel import MASK, masked, read_panel, unmasked
from celery_process.stores.memory import MemoryStore

SETTINGS = {"key_ttl": 60, "apikey": "x", "list": [{"db_password": "y"}], "refresh_token": None}


def test_secrets_are_hidden_at_any_depth() -> None:
    """By the name of the setting; a `key_ttl` is no secret."""
    assert masked(SETTINGS) == {"key_ttl": 60, "apikey": MASK, "list": [{"db_password": MASK}], "refresh_token": MASK}


def test_what_stays_masked_stays_as_it_was() -> None:
    """An edit of what was shown masked keeps the secrets, at any depth, and changes what was changed."""
    shown = {**masked(SETTINGS), "key_ttl": 5}
    assert unmasked(shown, SETTINGS, argument="settings") == {**SETTINGS, "key_ttl": 5}


@pytest.mark.parametrize("edited", [{"new_token": MASK}, {"list": [{}, {"db_password": MASK}]}, {"key_ttl": [MASK]}])
def test_a_mask_of_nothing_is_refused(edited: dict[str, object]) -> None:
    """A mask where nothing was hidden is no value."""
    with pytest.raises(InvalidValue, match="settings has"):
        unmasked(edited, SETTINGS, argument="settings")


def test_a_panel_has_the_failing_items_of_the_run() -> None:
    """Each item that errors are kept of stands there once with its state; errors of the run stand under no name."""
    app = Celery("panel", set_as_current=False)
    app.conf.task_always_eager = True
    processes = Processes(app, backend=MemoryStore())

    @processes.process("checks", schedule=None, settings={"api_key": "x", "limit": 2})
    def check(work) -> None:
        if work.name == "bad":
            work.run.add_error("of the run")
            work.add_error("one")
            work.add_error("two")

    check.register_works({"bad": None, "good": None})
    check.run_now()
    check.update_settings({"limit": 3}, by="ann")
    panel = read_panel(check)
    assert {(one.work, len(one.errors), one.state) for one in panel.failing} == {("bad", 2, "COMPLETED"), (None, 1, None)}
    assert [(one.name, one.value, one.stored) for one in panel.settings] == [("api_key", MASK, False), ("limit", 3, True)]
    assert panel.run is not None
    assert [run.id for run in panel.runs] == [panel.run.id]
    assert (panel.overview.done, panel.overrides.by, panel.shared) == (2, "ann", False)
