"""Registration: B7 to B10. An item is on exactly one list."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from celery_process.exceptions import InvalidValue
from celery_process.protocol.states import WorkList, WorkState

MINUTE = timedelta(minutes=1)


def test_b7_an_empty_name_is_an_error(bench: Any) -> None:
    """B7: an item without a name is refused, and nothing of the call is kept."""
    process = bench.define()
    with pytest.raises(InvalidValue):
        process.register_works({"a": None, "": None})
    assert bench.names(process, "active") == []


def test_b7_no_params_are_empty_params(bench: Any) -> None:
    """B7: None and no params at all are the same empty params."""
    process = bench.define()
    assert process.register_work("a") is True
    assert process.register_work("a", {}) is False
    assert process.work("a").params == {}


def test_b8_the_same_params_write_nothing(bench: Any) -> None:
    """B8: an active item that is registered with the same params again stays as it was, its time too."""
    process = bench.define()
    process.register_work("a", {"foo": 1, "bar": 2})
    before = deepcopy(bench.store.kept)
    bench.clock.advance(MINUTE)
    assert process.register_work("a", {"bar": 2, "foo": 1}) is False
    assert bench.store.kept == before


def test_b8_other_params_replace_the_item(bench: Any) -> None:
    """B8: other params make it a new registration: changed now, its status NEW again."""
    process = bench.define()
    process.register_work("a", {"foo": 1})
    bench.trigger(process)
    assert process.work("a").status.state is WorkState.COMPLETED
    bench.clock.advance(MINUTE)
    assert process.register_work("a", {"foo": 2}) is True
    work = process.work("a")
    assert (work.params, work.changed_at, work.status.state) == ({"foo": 2}, bench.clock(), WorkState.NEW)


@pytest.mark.parametrize("left", [WorkList.CLEANUP, WorkList.DROPPED])
def test_b8_registering_takes_an_item_from_cleanup_and_dropped(bench: Any, left: WorkList) -> None:
    """B8: an item that was unregistered, or dropped since, is active again and on no other list."""
    process = bench.define()
    process.unregister_work("sunset")
    if left is WorkList.DROPPED:
        bench.trigger(process)
    assert bench.names(process, left) == ["sunset"]
    assert process.register_work("sunset") is True
    assert bench.names(process, "active") == ["sunset"]
    assert process.work_counts() == {WorkList.ACTIVE: 1, WorkList.CLEANUP: 0, WorkList.DROPPED: 0}
    assert process.work("sunset").status.state is WorkState.NEW


def test_b9_unregistering_moves_to_cleanup(bench: Any) -> None:
    """B9: an unregistered item is on the cleanup list, changed now, and no more active."""
    process = bench.define()
    process.register_work("sunset")
    bench.clock.advance(MINUTE)
    assert process.unregister_work("sunset") is True
    work = process.work("sunset")
    assert (work.on, work.changed_at) == (WorkList.CLEANUP, bench.clock())
    assert bench.names(process, "active") == []


def test_b9_an_item_never_registered_goes_to_cleanup_too(bench: Any) -> None:
    """B9: "cleanup_only" was never registered, and is cleaned up all the same."""
    process = bench.define()
    assert process.unregister_work("cleanup_only") is True
    bench.trigger(process)
    assert bench.cleaned == ["cleanup_only"]


@pytest.mark.parametrize("left", [WorkList.CLEANUP, WorkList.DROPPED])
def test_b9_on_cleanup_or_dropped_nothing_happens(bench: Any, left: WorkList) -> None:
    """B9: unregistering what is on cleanup or dropped writes nothing."""
    process = bench.define()
    process.unregister_work("sunset")
    if left is WorkList.DROPPED:
        bench.trigger(process)
    before = deepcopy(bench.store.kept)
    bench.clock.advance(MINUTE)
    assert process.unregister_work("sunset") is False
    assert bench.store.kept == before


def test_b10_both_may_be_called_from_inside_a_run(bench: Any) -> None:
    """B10: the original's merge test, with its names: what handlers register and unregister is what the lists say."""

    def active(work: Any) -> None:
        process.register_work("new_work")
        process.unregister_work("test-work")

    def cleanup(work: Any) -> None:
        process.register_work("promote")
        process.unregister_work("test_process")

    process = bench.define(active, cleanup=cleanup)
    process.register_works({name: {"foo": 1, "bar": 2} for name in ("promote", "sunset", "test-work", "test_process")})
    process.unregister_works(["cleanup_only", "promote", "sunset"])
    bench.trigger(process)
    assert bench.worked == ["test-work", "test_process"]
    assert bench.names(process, "active") == ["new_work", "promote"]
    assert bench.names(process, "cleanup") == ["test-work", "test_process"]
    assert bench.names(process, "dropped") == ["cleanup_only", "sunset"]
