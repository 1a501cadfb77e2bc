"""What a monitor shows of a task of items: its arguments and how it ended."""

from __future__ import annotations

import ast

import pytest

from celery_process.engine.runner import EndedItem
from celery_process.exceptions import WorkFailed
from celery_process.protocol.states import WorkState
from celery_process.tasks.outcomes import outcome_of, searchable_kwargs

DONE = EndedItem("a", WorkState.COMPLETED)


def ended(items):
    return outcome_of("p", items, show_command=lambda item: f"celery -A shop process work p {item}")


def test_one_item_is_shown_as_it_is():
    """The arguments of a message with one item are what they are."""
    kwargs = {"process": "p", "run": "1-a", "work": "it's <b>"}
    assert ast.literal_eval(searchable_kwargs(kwargs)) == kwargs


@pytest.mark.parametrize("count", [1, 2, 1000])
@pytest.mark.parametrize("length", [1, 200])
def test_a_batch_is_shown_as_a_dict_that_can_be_searched(count, length):
    """However many items there are: a literal dict below Celery's limit, with process and run whole."""
    names = [f"{number:0{length}}" for number in range(count)]
    text = searchable_kwargs({"process": "p" * 100, "run": "1-a", "works": names})
    shown = ast.literal_eval(text)
    assert len(text) < 1024
    assert (shown["process"], shown["run"]) == ("p" * 100, "1-a")
    assert shown["works"][0] == names[0]
    cut = shown["works"] != names
    assert cut is (len(repr(names)) > 650)
    if cut:
        assert shown["works"][-1] == f"… and {count - len(shown['works']) + 1} more"


def test_success_is_told_in_the_words_of_the_store():
    """The result says how the items ended, and how many errors were tolerated."""
    assert ended([DONE]) == "COMPLETED"
    assert ended([DONE, EndedItem("b", WorkState.COMPLETED, errors=2)]) == "2 COMPLETED, 2 tolerated errors"


def test_what_was_given_back_is_told():
    """A batch that a worker left as it went says how many items are others' to do; it fails only by what it did."""
    left = [EndedItem(name, None, given_back=True) for name in "bcdef"]
    assert ended([DONE, DONE, DONE, *left]) == "3 COMPLETED, 5 given back"
    assert ended([DONE, *left]) == "1 COMPLETED, 5 given back"
    with pytest.raises(WorkFailed) as caught:
        ended([DONE, EndedItem("x", WorkState.INCOMPLETE, None, 1, "no"), *left])
    assert str(caught.value).startswith("1 of 2 items did not complete, 5 given back: 'x' ended INCOMPLETE: no. See `")
    assert caught.value.works == ("x",)


def test_a_clean_cleanup_is_no_failure():
    """An exception that means that nothing is left to clean ends its item COMPLETED."""
    assert ended([EndedItem("a", WorkState.COMPLETED, LookupError("gone"))]) == "COMPLETED"


@pytest.mark.parametrize("before", [[], [DONE, EndedItem("b", None)]], ids=["alone", "in a batch"])
def test_the_error_of_an_item_is_the_cause_of_the_task_s(before):
    """The task's error names the item with its error's text, and the handler's own is its cause, traceback and all."""
    error = ValueError("no")
    with pytest.raises(WorkFailed, match="'a' ended INCOMPLETE: ValueError: no") as caught:
        ended([*before, EndedItem("a", WorkState.INCOMPLETE, error, 1, "ValueError: no")])
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (EndedItem("a", WorkState.ABORTED, None, 11, "down"), "'a' ended ABORTED after 11 errors, the last one: down"),
        (EndedItem("a", WorkState.INCOMPLETE, None, 1, "down"), "'a' ended INCOMPLETE: down"),
        (EndedItem("a", WorkState.ABORTED), "'a' ended ABORTED"),
        (EndedItem("a", None), "'a' was lost to another worker"),
    ],
)
def test_what_did_not_complete_is_a_failure_although_nothing_was_raised(item, text):
    """A handler that returns after Abort leaves an item that is not completed, and so a task that failed."""
    with pytest.raises(WorkFailed, match="celery -A shop process work p a`") as caught:
        ended([item])
    assert str(caught.value).startswith(f"{text}.")


def test_one_failure_makes_a_batch_fail():
    """The message counts what did not complete, and tells of the first few."""
    failed = [EndedItem(name, WorkState.INCOMPLETE, ValueError(), 1, "no") for name in "bcdef"]
    with pytest.raises(WorkFailed) as caught:
        ended([DONE, *failed])
    assert str(caught.value).startswith("5 of 6 items did not complete: 'b' ended INCOMPLETE: no; ")
    assert "; and 2 more." in str(caught.value)
    assert caught.value.works == tuple("bcdef")
    assert caught.value.facts["process"] == "p"
    assert caught.value.facts["outcomes"] == ("INCOMPLETE",) * 5


def test_a_few_failures_are_all_shown():
    """Three stand in the message whole; with one error an item has no count of them."""
    failed = [
        EndedItem(name, WorkState.INCOMPLETE, ValueError(), count, "no") for name, count in (("b", 1), ("c", 2), ("d", 1))
    ]
    with pytest.raises(WorkFailed) as caught:
        ended(failed)
    assert "more" not in str(caught.value)
    assert "'b' ended INCOMPLETE: no; 'c' ended INCOMPLETE after 2 errors, the last one: no;" in str(caught.value)
