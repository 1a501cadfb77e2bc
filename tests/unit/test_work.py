"""`Work` in a handler's hands, without a store: params, stats, errors, progress."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from celery_process import ErrorAction, Progress, Tolerance, Work
from celery_process.exceptions import OwnershipLost, RunAborted, StoreUnavailable
from celery_process.protocol.model import ItemClaim
from celery_process.protocol.reports import ItemAnswer, ItemReport
from celery_process.protocol.states import ClaimAnswer, WorkList

CONTINUE, ABORT = ErrorAction.CONTINUE, ErrorAction.ABORT


class Teller:
    """Stands where the store is: keeps the reports, and answers what it was told to."""

    def __init__(self, *words: Progress | Exception, **fresh: str) -> None:
        self.words, self.fresh = list(words), fresh
        self.reports: list[ItemReport] = []

    def __call__(self, report: ItemReport) -> ItemAnswer:
        self.reports.append(report)
        word = self.words.pop(0) if self.words else Progress.UPDATED
        if isinstance(word, Exception):
            raise word
        return ItemAnswer(report.name, word, params_version=2, settings_version=3, **self.fresh)

    def work(self, *, every: timedelta = timedelta(0), tolerance: Tolerance = Tolerance()) -> Work:  # noqa: B008
        claim = ItemClaim(
            "a",
            ClaimAnswer.CLAIMED,
            attempt=2,
            epoch=7,
            params='{"x":1}',
            params_version=1,
            settings='{"x":0,"y":2}',
            settings_version=1,
            generation=4,
        )
        return Work.of_claim(claim, "7-run", report=self, tolerance=tolerance, progress_frequency=every)


def out_of_reach() -> StoreUnavailable:
    """Return what a store raises that does not answer."""
    return StoreUnavailable("report did not answer; try again later.", operation="report")


def test_params_are_settings_overlaid_by_its_own() -> None:
    """A key of the item wins over the same key of the settings; the two are there apart, too."""
    work = Work("a", {"x": 1}, settings={"x": 0, "y": 2})
    assert (work.params, work.own_params, work.settings) == ({"x": 1, "y": 2}, {"x": 1}, {"x": 0, "y": 2})


def test_a_work_of_a_later_attempt() -> None:
    """A handler that looks at its attempt can be tested with any; without one it is the first."""
    assert (Work("a").attempt, Work("a", attempt=2).attempt) == (1, 2)


def test_the_run_of_a_work() -> None:
    """A handler sees its run as the store has it: id, slot, generation, and when it began."""
    slot, began = datetime(2026, 3, 2, 12, tzinfo=UTC), datetime(2026, 3, 2, 12, 0, 7, tzinfo=UTC)
    claim = ItemClaim("a", ClaimAnswer.CLAIMED, attempt=2, epoch=7, generation=4, slot=slot, run_started_at=began)
    work = Work.of_claim(claim, "7-run", report=Teller(), tolerance=Tolerance(), progress_frequency=timedelta(0))
    run = work.run
    assert (run.id, run.slot, run.generation, run.started_at, work.attempt) == ("7-run", slot, 4, began, 2)


def test_a_plain_work_is_enough_for_a_unit_test() -> None:
    """A work made by hand counts and answers as one of a run does, without a store."""
    work = Work("a")
    assert (work.params, work.attempt, work.on) == ({}, 1, WorkList.ACTIVE)
    assert work.progress() is Progress.UPDATED
    assert [work.add_error("broken") for _ in range(11)] == [CONTINUE] * 10 + [ABORT]
    assert work.total_errors == 11


def test_what_a_claim_says_is_there() -> None:
    """Attempt, fencing token and run come from the claim."""
    work = Teller().work()
    assert (work.name, work.attempt, work.fencing_token) == ("a", 2, 7 * 2**16 + 2)
    assert (work.run.id, work.run.generation) == ("7-run", 4)


def test_stats_add_up() -> None:
    """Counts of one name are summed; 1 is the default; item and run are apart."""
    work = Work("a")
    work.add_stats("keys")
    work.add_stats("keys", 2)
    work.add_stats("seconds", 0.5)
    work.run.add_stats("keys", 40)
    assert work.stats == {"keys": 3, "seconds": 0.5}


def test_stats_that_are_read_are_a_copy() -> None:
    """Changing what was read changes nothing."""
    work = Work("a")
    work.add_stats("keys")
    dict(work.stats).clear()
    work.stats["keys"] = 9  # type: ignore[index]
    assert work.stats == {"keys": 1}


def test_a_stat_below_zero_is_allowed() -> None:
    """A count may be negative: a handler may take back what it counted."""
    work = Work("a")
    work.add_stats("keys", 3)
    work.add_stats("keys", -5)
    assert work.stats == {"keys": -2}


def test_stats_of_many_threads_lose_nothing() -> None:
    """Eight threads of one handler count 8,000 together."""
    work, start = Work("a"), threading.Barrier(8)

    def count(_: int) -> None:
        start.wait()
        for _ in range(1_000):
            work.add_stats("keys")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    assert work.stats == {"keys": 8_000}


def test_reports_are_absolute_and_rise() -> None:
    """Each report has all that was counted so far, under a sequence that rises."""
    teller = Teller()
    work = teller.work()
    work.add_stats("keys", 2)
    work.progress()
    work.add_stats("keys", 3)
    work.run.add_stats("calls")
    work.progress()
    assert [report.sequence for report in teller.reports] == [1, 2]
    assert [report.totals.stats for report in teller.reports] == [{"keys": 2}, {"keys": 5}]
    assert [report.totals.run_stats for report in teller.reports] == [{}, {"calls": 1}]


def test_an_error_is_reported_at_once() -> None:
    """The store hears of an error when it is recorded, however long the progress frequency."""
    teller = Teller()
    work = teller.work(every=timedelta(hours=1))
    work.add_error("one")
    work.run.add_error(ValueError("two"))
    last = teller.reports[-1].totals
    assert len(teller.reports) == 2
    assert ([error.text for error in last.errors], last.error_count) == (["one"], 1)
    assert ([error.text for error in last.run_errors], last.run_error_count) == (["ValueError: two"], 1)


def test_one_exception_counts_once() -> None:
    """The same object recorded again, by item or run, is no further error; an equal one is."""
    work, error = Work("a"), ValueError("broken")
    work.add_error(error)
    work.add_error(error)
    work.run.add_error(error)
    assert work.total_errors == 1
    work.add_error(ValueError("broken"))
    assert work.total_errors == 2


def test_one_exception_in_two_items_counts_in_each() -> None:
    """An exception object that is shared by items is an error of each."""
    first, second, error = Work("a"), Work("b"), ValueError("broken")
    first.add_error(error)
    second.add_error(error)
    assert (first.total_errors, second.total_errors) == (1, 1)


def test_a_text_counts_each_time() -> None:
    """Texts have no identity."""
    work = Work("a")
    work.add_error("broken")
    work.add_error("broken")
    assert work.total_errors == 2


def test_ignored_classes_cost_nothing() -> None:
    """An exception of a class in `ignore`, or of a subclass, is not recorded."""
    work = Work("a", tolerance=Tolerance(0, 0, ignore=LookupError))
    assert work.add_error(KeyError("gone")) is CONTINUE
    assert (work.total_errors, work.clean) == (0, True)


def test_failing_classes_are_recorded_and_raised() -> None:
    """An exception of a class in `fail` ends the handler at once, and counts once."""
    work, error = Work("a", tolerance=Tolerance(fail=PermissionError)), PermissionError("no")
    with pytest.raises(PermissionError) as caught:
        work.add_error(error)
    assert caught.value is error
    assert work.total_errors == 1


@pytest.mark.parametrize(
    ("per_work", "answers"), [(0, [ABORT] * 3), (2, [CONTINUE, CONTINUE, ABORT]), (None, [CONTINUE] * 3)]
)
def test_the_tolerance_of_an_item_is_its_own(per_work: int | None, answers: list[ErrorAction]) -> None:
    """So many errors are Continue; None tolerates any number."""
    work = Work("a", tolerance=Tolerance(per_work, None))
    assert [work.add_error("broken") for _ in range(3)] == answers
    assert work.aborted_here is (answers[-1] is ABORT)


@pytest.mark.parametrize("word", [Progress.ABORTED, Progress.CONFLICT])
def test_a_stopped_run_is_answered_abort(word: Progress) -> None:
    """Once the store said Aborted or Conflict, an error within the tolerance is answered Abort as well."""
    work = Teller(word).work()
    assert work.add_error("one") is ABORT
    assert work.add_error("two") is ABORT


@pytest.mark.parametrize(("word", "error"), [(Progress.ABORTED, RunAborted), (Progress.CONFLICT, OwnershipLost)])
def test_stopping_words_are_raised_or_returned(word: Progress, error: type[Exception]) -> None:
    """The word is raised with itself inside, or returned with stop=False, and stays; the store is not asked again."""
    teller = Teller(word)
    work = teller.work()
    with pytest.raises(error) as caught:
        work.progress()
    assert getattr(caught.value, "progress") is word  # noqa: B009 - a fact
    assert work.progress(stop=False) is word
    assert len(teller.reports) == 1
    assert work.lost is (word is Progress.CONFLICT)


def test_merged_brings_fresh_params() -> None:
    """With Merged, params and settings are those of the answer, and the next report says that it knows them."""
    teller = Teller(Progress.MERGED, params='{"z":3}', settings='{"y":5}')
    work = teller.work()
    assert work.progress() is Progress.MERGED
    assert (work.params, work.own_params, work.settings) == ({"y": 5, "z": 3}, {"z": 3}, {"y": 5})
    work.progress()
    assert [(report.params_version, report.settings_version) for report in teller.reports] == [(1, 1), (2, 3)]


def test_progress_is_throttled() -> None:
    """Within the progress frequency the word is None and nothing is sent."""
    teller = Teller()
    work = teller.work(every=timedelta(hours=1))
    assert [work.progress() for _ in range(3)] == [Progress.UPDATED, Progress.NONE, Progress.NONE]
    assert len(teller.reports) == 1


def test_out_of_reach_is_none_and_is_tried_again() -> None:
    """A store that does not answer is None; the next progress asks again."""
    work = Teller(out_of_reach(), out_of_reach()).work(every=timedelta(hours=1))
    assert [work.progress() for _ in range(4)] == [Progress.NONE, Progress.NONE, Progress.UPDATED, Progress.NONE]


def test_errors_out_of_reach_are_kept_for_the_next_report() -> None:
    """An error that the store did not hear is in the next report."""
    teller = Teller(out_of_reach())
    work = teller.work()
    assert work.add_error("unheard") is CONTINUE
    work.progress()
    assert teller.reports[-1].totals.error_count == 1


def test_clean_until_the_first_error_of_the_item() -> None:
    """Errors of the run leave an item clean; its own do not."""
    work = Work("a")
    work.run.add_error("upstream is down")
    assert work.clean is True
    work.add_error("account remains")
    assert work.clean is False
