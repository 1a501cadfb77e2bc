"""The options of a process stand in two places, the signature and the table, which agree."""

from __future__ import annotations

import inspect

import pytest

from celery_process import Processes, shared_process
from celery_process.definition.options import OPTIONS, define, with_flow_control
from celery_process.exceptions import InvalidType


def given() -> dict[str, inspect.Parameter]:
    """Return the options of the signature."""
    parameters = dict(inspect.signature(Processes.process).parameters)
    return {name: parameter for name, parameter in parameters.items() if name not in ("self", "name")}


def test_the_signature_has_the_options_of_the_table() -> None:
    """Each option is keyword-only, and has its check."""
    assert list(given()) == list(OPTIONS)
    assert {parameter.kind for parameter in given().values()} == {inspect.Parameter.KEYWORD_ONLY}


def test_the_defaults_of_the_signature_are_those_of_the_table() -> None:
    """A process that is given the signature's defaults is one that is given nothing."""
    defaults = {name: parameter.default for name, parameter in given().items() if name != "schedule"}
    assert inspect.Parameter.empty not in defaults.values()
    assert define("p", print, defaults) == define("p", print, {})


def test_a_shared_process_has_the_same_options() -> None:
    """An unknown option is refused with the names of those that there are."""
    with pytest.raises(InvalidType, match="rerun_on_change") as caught:
        shared_process("p", schedule=None, windows=3)(print)
    assert caught.value.argument == "windows"


def test_flow_control_takes_no_none() -> None:
    """None is no duration where each has to be given."""
    with pytest.raises(InvalidType):
        with_flow_control(define("p", print, {}), initial_wait=None, min_schedule_frequency=1, progress_frequency=1)
