"""Faults of writing and merging state that must not come back: W8 to W16."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery
from sqlalchemy.orm import Session

from celery_process import Processes
from celery_process.exceptions import CannotJoin, StoreUnavailable
from celery_process.protocol.states import Progress, RunState, WorkState

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def test_w8_what_an_item_writes_does_not_grow_with_the_number_of_items(bench: Any, monkeypatch: Any) -> None:
    """W8: the bytes written for an item are the same in a run of 20 and in one of 200."""
    written: list[int] = []
    report = bench.store.report

    def measured(process: str, run: str, reports: Any, **options: Any) -> Any:
        written.append(len(repr(reports)))
        return report(process, run, reports, **options)

    monkeypatch.setattr(bench.store, "report", measured)
    most = []
    for name, items in (("small", 20), ("large", 200)):
        process = bench.define(lambda work: work.add_stats("keys", 3), name=name)
        process.register_works(dict.fromkeys(f"item-{number:04}" for number in range(items)))
        written.clear()
        bench.trigger(process)
        assert len(written) == items
        most.append(max(written))
    assert most[0] == most[1]


def merge_test(bench: Any) -> Any:
    """Define and run the original's merge test, whose handlers register and unregister."""

    def active(work: Any) -> None:
        process.register_work("new_work")
        process.unregister_work("test-work")
        work.progress()

    def cleanup(work: Any) -> None:
        process.register_work("promote")
        process.unregister_work("test_process")
        work.progress()

    process = bench.define(active, cleanup=cleanup, progress_frequency=0.000001)
    process.register_works({name: {"foo": 1, "bar": 2} for name in ("promote", "sunset", "test-work", "test_process")})
    process.unregister_works(["cleanup_only", "promote", "sunset"])
    bench.trigger(process)
    return process


def test_w9_a_merged_run_does_not_bring_dropped_items_back(bench: Any) -> None:
    """W9: after the merge test only what was unregistered in it is on cleanup; what was cleaned stays dropped."""
    process = merge_test(bench)
    assert bench.names(process, "cleanup") == ["test-work", "test_process"]
    assert bench.names(process, "dropped") == ["cleanup_only", "sunset"]


def test_w9_nothing_is_cleaned_twice(bench: Any) -> None:
    """W9: the runs after a merged one clean what is new on the list, and nothing again."""
    process = merge_test(bench)
    bench.cleaned.clear()
    bench.next_slot(process)
    bench.next_slot(process)
    assert bench.cleaned == ["test-work", "test_process"]


def test_w10_a_change_is_merged_once(bench: Any) -> None:
    """W10: after Merged was answered, later progress is Updated until something changes again."""
    words: list[Progress] = []

    def handler(work: Any) -> None:
        for change in (1, 2):
            bench.clock.advance(MINUTE)
            process.update_settings({"change": change})
            words.extend(work.progress() for _ in range(3))

    process = bench.define(handler, progress_frequency=0.000001)
    process.register_work("a")
    bench.trigger(process)
    assert words == [Progress.MERGED, Progress.UPDATED, Progress.UPDATED] * 2


def test_w11_dropped_items_stay_dropped(bench: Any) -> None:
    """W11: an item that was dropped before a run that merges is not on cleanup after it."""
    process = bench.define(lambda work: (process.update_settings({work.run.id: 1}), work.progress()))
    process.unregister_work("old")
    bench.trigger(process)
    process.register_work("a")
    bench.next_slot(process)
    assert bench.worked == ["a"]
    assert (bench.names(process, "cleanup"), bench.names(process, "dropped")) == ([], ["old"])


def test_w12_new_params_in_mid_run_are_not_shown_as_done(bench: Any) -> None:
    """W12: an item that got new params while it ran is NEW: those params were never used."""

    def handler(work: Any) -> None:
        bench.clock.advance(MINUTE)
        process.register_work("a", {"ttl": 2})

    process = bench.define(handler)
    process.register_work("a", {"ttl": 1})
    bench.trigger(process)
    work = process.work("a")
    assert (work.params, work.status.state, work.status.finished_at) == ({"ttl": 2}, WorkState.NEW, None)
    assert process.state().run.state is RunState.COMPLETED


def test_w12_a_stale_cleanup_drops_nothing(bench: Any) -> None:
    """W12: a cleanup that ends after its item was registered and unregistered again leaves it to the next run."""

    def cleanup(work: Any) -> None:
        if len(bench.cleaned) == 1:
            bench.clock.advance(MINUTE)
            process.register_work("a")
            process.unregister_work("a")

    process = bench.define(cleanup=cleanup)
    process.unregister_work("a")
    bench.trigger(process)
    assert bench.names(process, "cleanup") == ["a"]
    bench.next_slot(process)
    assert (bench.cleaned, bench.names(process, "dropped")) == (["a", "a"], ["a"])


def test_w13_registering_hands_out_nothing_of_the_running_item(bench: Any) -> None:
    """W13: register_work answers whether it changed something; the item in a handler's hands stays as it was."""
    seen: list[Any] = []

    def handler(work: Any) -> None:
        work.add_stats("keys", 2)
        seen.append(process.register_work("a", {"ttl": 2}))
        seen.append((work.params, work.stats))

    process = bench.define(handler)
    process.register_work("a", {"ttl": 1})
    bench.trigger(process)
    assert seen == [True, ({"ttl": 1}, {"keys": 2})]


@pytest.mark.parametrize(
    ("verb", "argument"), [("register_work", "b"), ("unregister_work", "a"), ("update_settings", {"x": 1})]
)
def test_w14_a_transaction_of_the_caller_is_never_ended_here(bench: Any, verb: str, argument: Any) -> None:
    """W14: a store that cannot join the caller's transaction says so, touches it not, and writes nothing."""

    class Transaction:
        """Counts who ends it."""

        ended = 0

        def commit(self) -> None:
            self.ended += 1

        rollback = close = commit

    process, transaction = bench.define(), Transaction()
    process.register_work("a")
    before = deepcopy(bench.store.kept)
    with pytest.raises(CannotJoin):
        getattr(process, verb)(argument, using=transaction)
    assert (transaction.ended, bench.store.kept) == (0, before)


@pytest.mark.parametrize("commit", [True, False])
def test_w14_a_joined_transaction_is_the_callers_to_end(bench: Any, tmp_path: Path, commit: bool) -> None:
    """W14: a store that can join writes into the caller's transaction; it counts after the caller's commit, if there is one."""
    url = f"sqlite:///{tmp_path / 'process.db'}"
    processes = Processes(Celery("joins", set_as_current=False), backend=url)
    process = processes.process("key-gc", schedule=HOUR)(lambda work: None)
    process.register_work("old")
    with Session(sa.create_engine(url)) as session:
        process.register_work("new", using=session)
        process.unregister_work("old", using=session)
        process.update_settings({"ttl": 2}, using=session)
        assert session.in_transaction()
        (session.commit if commit else session.rollback)()
    assert [work.name for work in process.works()] == (["new"] if commit else ["old"])
    assert process.state().settings == ({"ttl": 2} if commit else {})
    processes.store.close()


def test_w15_a_progress_that_failed_is_tried_again_at_once(bench: Any) -> None:
    """W15: only a progress that was written begins a new period of the progress frequency."""
    words: list[Progress] = []

    def handler(work: Any) -> None:
        bench.store.broken["report"] = 2
        words.extend(work.progress() for _ in range(4))

    process = bench.define(handler, progress_frequency=24 * HOUR)
    process.register_work("a")
    bench.trigger(process)
    assert words == [Progress.NONE, Progress.NONE, Progress.UPDATED, Progress.NONE]


def test_w16_settings_that_could_not_be_stored_are_not_in_force(bench: Any) -> None:
    """W16: when the store fails, settings and schedule are as before, here and for everybody."""
    process = bench.define(settings={"ttl": 1})
    before = process.state()
    bench.store.broken["update_settings"] = 1
    with pytest.raises(StoreUnavailable):
        process.update_settings({"ttl": 2}, schedule=2 * HOUR)
    assert process.state() == before
    assert process.default_settings == {"ttl": 1}
    process.update_settings({"ttl": 2}, schedule=2 * HOUR)
    assert (process.state().settings, process.schedule_frequency) == ({"ttl": 2}, 2 * HOUR)


def test_w16_default_settings_are_nobodys_to_change(bench: Any) -> None:
    """W16: neither the dict that was passed nor the one that is read changes the defaults."""
    given = {"ttl": 1}
    process = bench.define(settings=given)
    given["ttl"] = 2
    process.default_settings["ttl"] = 3
    assert process.default_settings == {"ttl": 1}
