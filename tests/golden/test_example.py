"""The example's two workers keep B40 and leave W27 to W29 behind; its projects are registered as their rows are kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SET_UP = "import django, runpy; django.setup(); runpy.run_module('example_scenes', run_name='__main__')"
WHOLE = {"state": "COMPLETED", "runs": 1, "state.completed": 1}
Play = Callable[[str], Any]


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Give a function that returns what came of a scene; all are played in one go."""
    folder = tmp_path_factory.mktemp("example")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("EXAMPLE_")},
        "DJANGO_SETTINGS_MODULE": "example_project.access.settings",
        "EXAMPLE_FOLDER": str(folder),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}",
    }
    line = [sys.executable, "-c", SET_UP]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr

    def came_of(scene: str) -> Any:
        error = folder / f"{scene}.error"
        assert not error.exists(), error.read_text()
        return json.loads((folder / f"{scene}.json").read_text())

    return came_of


def test_b40_the_key_collector_counts_what_the_original_counts(play: Play) -> None:
    """B40: the original's own test: of 2 accounts 2 keys stay and 4 go, 2 accounts of the other project are removed."""
    came = play("key_run")
    assert came["run"] == {
        **WHOLE,
        "errors": 0,
        "work.accounts": 2,
        "work.accountsRemoved": 2,
        "work.keysKept": 2,
        "work.keysRemoved": 4,
        "workItems": 1,
        "workItemsCleaned": 1,
    }
    assert came["lists"] == {"active": ["test_process"], "cleanup": [], "dropped": ["bad"]}
    assert came["keys"] == {"bad.mary": 2, "test_process.frank": 1, "test_process.mary": 2, "test_process.yvonne": 1}


def test_b40_the_totals_of_the_original_go_on(play: Play) -> None:
    """B40: a state document of the original after 993 runs, imported and carried on: 994 runs, 45 accounts removed."""
    assert play("key_totals") == {
        "errors": 10,
        "runs": 994,
        "state.aborted": 1,
        "state.completed": 991,
        "state.incomplete": 2,
        "work.accounts": 200,
        "work.accountsRemoved": 45,
        "work.keysKept": 113,
        "work.keysRemoved": 2003,
        "workItems": 4,
        "workItemsCleaned": 2,
    }


def test_b40_the_schedule_is_a_tenth_of_a_keys_life_and_at_most_12_hours(play: Play) -> None:
    """B40: an hour at first; 100 h and 6 keys give 420,001 s and 11 h 40 min 0.1 s; beyond 120 h of life 12 h stay."""
    came = play("key_settings")
    assert came["at first"][0] == 3600
    assert came["100 h, 6 keys"] == [42000.1, {"keyTtl": 420001, "keysPerAccount": 6, "maxRequestedTtl": 360000}]
    assert came["103 h, 6 keys"] == [43200, {"keyTtl": 432601, "keysPerAccount": 6, "maxRequestedTtl": 370800}]


def test_settings_join_the_transaction_of_the_caller(play: Play) -> None:
    """Settings and schedule that were changed in a block that is rolled back stay as they were."""
    came = play("key_settings")
    assert came["rolled back"] == came["103 h, 6 keys"]


def test_b40_the_wait_condition_can_be_set_from_outside(play: Play) -> None:
    """B40: the condition given to the key collector declines one trigger and lets the next run."""
    assert play("key_wait") == ["declined", "ran"]


def test_b40_a_realm_is_removed(play: Play) -> None:
    """B40: the original's own test: an operation is queued, removes 6 identities and the realm, and is completed."""
    came = play("realm_removal")
    state, of_work, params = came["queued"]
    assert (state, of_work) == ("queued", "NEW")
    name = params.pop("id")
    assert name.startswith("remove-realm-test-")
    expected = {"operation": "remove-realm", "realm": "test", "label": 'remove realm "test"', "email": "test@example.org"}
    assert params == expected
    state, removed, run = came["done"]
    assert (state, removed) == ("completed", 6)
    assert run == {**WHOLE, "errors": 0, "work.removeRealm.itemsRemoved": 6, "workItems": 1}
    assert came["times"]
    assert came["left"] == [["other", "other"], ["other"]]
    assert came["lists"] == [{"active": 0, "cleanup": 1, "dropped": 0}, {"active": 0, "cleanup": 0, "dropped": 1}]


def test_b40_progress_is_told_after_each_batch_of_500(play: Play) -> None:
    """B40: a realm of 1,201 goes in batches of 500, 500 and 201, and progress is told after each of them."""
    assert play("realm_batches") == [500, 1000, 1201]


def test_b40_a_run_goes_on_until_no_operation_is_left(play: Play) -> None:
    """B40: 60 operations are done by one run, more than are out at a time."""
    run, states, realms = play("many_operations")
    assert run == {**WHOLE, "errors": 0, "work.removeRealm.itemsRemoved": 60, "workItems": 60}
    assert (states, realms) == (["completed"], 0)


def test_b40_who_worked_within_10_seconds_wakes_sooner(play: Play) -> None:
    """B40: operations run at each slot while one is open and for 10 s after the last work, else once a minute."""
    assert play("realm_wait") == {
        "at first": "ran",
        "nothing to do": False,
        "queued": True,
        "worked just now": True,
        "worked 11 s ago": False,
        "a minute later": True,
    }


def test_settings_reach_the_key_collector(play: Play) -> None:
    """W27: a project without params keeps as many keys as the settings say, another as its own say, also once changed."""
    came = play("key_params")
    run, keys = came["kept"]
    assert keys == {"plain": 4, "own": 2}
    assert (run["work.keysKept"], run["work.keysRemoved"]) == (6, 12)
    assert came["after a change"][1] == {"plain": 4, "own": 1}


def test_a_project_whose_accounts_remain_is_cleaned_up_again(play: Play) -> None:
    """W28: an account that cannot be removed leaves its project on the cleanup list until it can; the others go."""
    (run, lists, keys), (later, cleaned, left) = play("key_on_hold")
    assert (run["work.accountsRemoved"], run["work.accountsDirty"], run["workItemsDirty"]) == (1, 1, 1)
    assert "workItemsCleaned" not in run
    assert lists["cleanup"] == ["gone"]
    assert keys == {"held": 1, "here.free": 1, "here.held": 2}
    assert (later["work.accountsRemoved"], later["workItemsCleaned"]) == (1, 1)
    assert cleaned["dropped"] == ["gone"]
    assert left == {"here.free": 1, "here.held": 2}


def test_an_account_on_hold_is_an_error_and_the_others_go_on(play: Play) -> None:
    """In active work an account whose keys may not go is an error that is tolerated; the run is COMPLETED."""
    (run, *_), _ = play("key_on_hold")
    assert (run["state"], run["errors"]) == ("COMPLETED", 2)
    assert (run["work.accounts"], run["work.keysKept"], run["work.keysRemoved"]) == (2, 1, 1)


def test_w29_an_aborted_operation_stays_aborted(play: Play) -> None:
    """W29: an operation of an unknown kind, and one that names no realm, end aborted, each with one error, and are over."""
    states, run, errors, active = play("unknown_operation")
    assert states == ["aborted", "aborted"]
    assert run["errors"] == len(errors) == 2
    assert any("paint-realm" in error for error in errors)
    assert active == []


def test_w29_a_batch_that_fails_is_no_success(play: Play) -> None:
    """W29: a batch that fails is undone and leaves the operation incomplete and registered; the next run ends it."""
    (state, removed, left, run), active, (later, total, none, second) = play("failing_batch")
    assert (state, removed, left) == ("incomplete", 500, 600)
    assert (run["errors"], run["work.removeRealm.itemsRemoved"]) == (1, 500)
    assert active
    assert (later, total, none) == ("completed", 1100, 0)
    assert second["work.removeRealm.itemsRemoved"] == 600


def test_w29_only_its_owner_writes_to_an_operation(play: Play) -> None:
    """W29: who was taken over can neither remove nor end anything, and no fencing token begins a second time."""
    assert play("taken_over") == [2, [None, None], ["active", 0, 3, 1]]


def test_w29_an_operation_ends_in_one_transaction(play: Play) -> None:
    """W29: where the store cannot take it off the list, or the caller rolls back, an operation has not ended."""
    failed, state, active = play("half_an_end")
    assert failed
    assert (state, active) == ("active", 1)


def test_an_operation_that_was_withdrawn_is_aborted(play: Play) -> None:
    """Unregistered before its turn, an operation removes nothing and is aborted; one that ended a week ago is forgotten."""
    assert play("withdrawn") == ["aborted", 3, False]


def test_projects_are_registered_in_the_transaction_that_keeps_them(play: Play) -> None:
    """A rolled back creation or deletion changes no list; a deletion by query, as the admin makes it, unregisters."""
    before, after = play("registration")
    assert before == {"active": ["kept"], "cleanup": [], "dropped": []}
    assert after == {"active": [], "cleanup": ["kept"], "dropped": []}


def test_the_admin_removes_a_realm_by_an_operation(play: Play) -> None:
    """The action of the list of realms queues an operation in the user's name; nobody adds or deletes one by hand."""
    found, statuses, message = play("admin")
    assert found == ["test", "ann", True]
    assert statuses == [200, 200, 403, 403]
    assert message


def test_the_project_is_in_order(play: Play) -> None:
    """Each change of a model has its migration, and the system checks find nothing."""
    assert play("project") == "all is well"
