"""Construction, frequencies and settings: B1 to B6."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from celery_process.exceptions import AlreadyUsed, InvalidValue
from celery_process.process import Process
from celery_process.protocol.states import WorkList

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def progress_of(process: Process) -> timedelta:
    """Return how often the process writes its progress."""
    return process.definition.progress_every(process.default_frequency())


def test_b1_defaults_neither_wait_nor_clamp_beyond_a_second(bench: Any) -> None:
    """B1 and decision 9: by default nothing waits at first, and a schedule is at least one second."""
    process = bench.define(schedule=0.25)
    assert process.definition.initial_wait == timedelta(0)
    assert process.definition.min_schedule_frequency == SECOND
    assert process.schedule_frequency == SECOND


def test_b1_the_original_defaults_can_be_asked_for(bench: Any) -> None:
    """B1: an initial wait of 1 minute and a minimum schedule of 15 minutes are options."""
    process = bench.define(schedule=MINUTE, initial_wait=MINUTE, min_schedule_frequency=15 * MINUTE)
    assert process.definition.initial_wait == MINUTE
    assert process.schedule_frequency == 15 * MINUTE


@pytest.mark.parametrize(
    ("given", "schedule", "progress"),
    [
        (SECOND, 15 * MINUTE, 90 * SECOND),
        (15 * MINUTE, 15 * MINUTE, 90 * SECOND),
        (HOUR, HOUR, 5 * MINUTE),
        (12 * HOUR, 12 * HOUR, 5 * MINUTE),
        (240 * HOUR, 240 * HOUR, 5 * MINUTE),
    ],
)
def test_b2_schedule_is_clamped_from_below_only(
    bench: Any, given: timedelta, schedule: timedelta, progress: timedelta
) -> None:
    """B2: with a minimum of 15 minutes the schedule is at least that, and progress min(schedule/10, minimum/3)."""
    process = bench.define(schedule=given, min_schedule_frequency=15 * MINUTE)
    assert (process.schedule_frequency, progress_of(process)) == (schedule, progress)


@pytest.mark.parametrize("given", [0, -1, timedelta(0), timedelta(hours=-1)])
def test_b2_no_schedule_at_all_is_an_error(bench: Any, given: object) -> None:
    """B2 and decision 9: a schedule of zero or below is refused, and does not mean "the minimum"."""
    with pytest.raises(InvalidValue):
        bench.define(schedule=given, min_schedule_frequency=15 * MINUTE)


@pytest.mark.parametrize(("given", "progress"), [(SECOND, SECOND), (100 * SECOND, 10 * SECOND), (HOUR, 30 * SECOND)])
def test_b2_without_a_minimum_progress_is_between_1_and_30_seconds(
    bench: Any, given: timedelta, progress: timedelta
) -> None:
    """B2: where no minimum was set, progress is a tenth of the schedule, between 1 and 30 seconds."""
    assert progress_of(bench.define(schedule=given)) == progress


def test_b3_flow_control_sets_the_schedule_to_the_minimum(bench: Any) -> None:
    """B3: flow control of 500 ms and 100 ms makes the schedule 100 ms; progress is taken as it is."""
    process = bench.define(schedule=3 * HOUR)
    before = bench.store.process("key-gc")
    process.update_flow_control(timedelta(milliseconds=500), timedelta(milliseconds=100), timedelta(hours=7))
    assert process.definition.initial_wait == timedelta(milliseconds=500)
    assert process.definition.min_schedule_frequency == timedelta(milliseconds=100)
    assert process.schedule_frequency == timedelta(milliseconds=100)
    assert progress_of(process) == timedelta(hours=7)
    assert bench.store.process("key-gc") == before, "flow control is kept in memory only"


def test_b3_flow_control_is_refused_after_the_first_use(bench: Any) -> None:
    """B3: once the process was used here, its flow control cannot change any more."""
    process = bench.define(schedule=3 * HOUR)
    process.register_work("a")
    with pytest.raises(AlreadyUsed) as caught:
        process.update_flow_control(1, 1, 1)
    assert caught.value.process == "key-gc"
    assert process.schedule_frequency == 3 * HOUR


def test_b3_flow_control_is_what_beat_follows(bench: Any) -> None:
    """B3: beat's entry has the new schedule and wait, even where the app was finalized before."""
    process = bench.define(schedule=3 * HOUR)
    bench.app.finalize()
    process.update_flow_control(30, 900, 60)
    entry = bench.app.conf.beat_schedule["key-gc.schedule"]["schedule"]
    entry.app = bench.app
    assert entry.current().value == 15 * MINUTE
    assert entry.initial_wait == 30


def test_b4_settings_are_replaced_whole(bench: Any) -> None:
    """B4: update_settings replaces what was stored, key by key nothing is merged."""
    process = bench.define(schedule=3 * HOUR)
    process.update_settings({"a": 1, "foo": "bar"}, schedule=3 * HOUR)
    process.update_settings({"b": 2, "hello": "world"}, schedule=5 * HOUR)
    state = process.state()
    assert state.settings == {"b": 2, "hello": "world"}
    assert state.schedule_frequency == 5 * HOUR
    assert state.settings_version == 2


def test_b4_settings_and_schedule_outlive_registrations(bench: Any) -> None:
    """B4: registrations before and after leave the stored 5 hours and settings alone."""
    process = bench.define(schedule=3 * HOUR, settings={"a": 1, "foo": "bar"})
    process.register_work("foo")
    process.update_settings({"a": 1, "b": 2, "hello": "world"}, schedule=5 * HOUR)
    process.register_work("bar")
    assert process.state().schedule_frequency == 5 * HOUR
    assert process.state().settings == {"a": 1, "b": 2, "foo": "bar", "hello": "world"}


def test_b4_a_new_schedule_is_clamped_and_kept(bench: Any) -> None:
    """B4: a schedule below the minimum is stored as the minimum; None keeps the stored one."""
    process = bench.define(schedule=3 * HOUR, min_schedule_frequency=15 * MINUTE)
    process.update_settings({"a": 1}, schedule=MINUTE)
    assert process.schedule_frequency == 15 * MINUTE
    process.update_settings({"a": 2})
    assert process.schedule_frequency == 15 * MINUTE


@pytest.mark.parametrize("given", [0, -5, timedelta(0)])
def test_b4_a_schedule_of_zero_or_below_changes_nothing(bench: Any, given: object) -> None:
    """B4 and decision 9: such a schedule is an error, and the settings beside it are not stored either."""
    process = bench.define(schedule=3 * HOUR)
    process.update_settings({"a": 1})
    with pytest.raises(InvalidValue):
        process.update_settings({"a": 2}, schedule=given)
    assert process.state().settings == {"a": 1}
    assert process.schedule_frequency == 3 * HOUR


def test_b4_each_change_has_its_version_and_time(bench: Any) -> None:
    """B4: a change moves version and time on; the same again moves the time alone."""
    process = bench.define()
    assert process.update_settings({"a": 1}) == 1
    bench.clock.advance(MINUTE)
    assert process.update_settings({"a": 1}) == 1
    assert bench.store.overrides("key-gc").changed_at == bench.clock()
    assert process.update_settings({"a": 2}) == 2
    assert bench.store.overrides("key-gc").changed_at == bench.clock()


def test_b5_stored_values_win_over_the_code(bench: Any) -> None:
    """B5: code with other arguments finds the stored schedule and settings; its defaults fill what is missing."""
    bench.define(schedule=3 * HOUR, settings={"a": 1}).update_settings({"a": 7}, schedule=5 * HOUR)
    _, processes = bench.another_app()
    process = processes.process("key-gc", schedule=HOUR, settings={"a": 2, "b": 3})(lambda work: None)
    assert process.schedule_frequency == 5 * HOUR
    assert process.state().settings == {"a": 7, "b": 3}
    assert process.default_settings == {"a": 2, "b": 3}


def test_b5_without_stored_values_the_code_counts(bench: Any) -> None:
    """B5: nothing is stored for defaults, so changed defaults of the code take effect."""
    bench.define(schedule=3 * HOUR, settings={"a": 1}).register_work("x")
    _, processes = bench.another_app()
    process = processes.process("key-gc", schedule=HOUR, settings={"a": 2})(lambda work: None)
    assert process.schedule_frequency == HOUR
    assert process.state().settings == {"a": 2}


def test_b6_params_are_ints_and_texts_and_come_back_as_they_went(bench: Any) -> None:
    """B6: 64-bit ints and texts reach the handler exactly, from params and from settings."""
    seen: list[dict[str, object]] = []
    process = bench.define(lambda work: seen.append(work.params), settings={"big": 2**63 - 1, "word": "bär\x00"})
    process.register_work("a", {"small": -(2**63), "text": "", "foo": 1, "bar": 2})
    bench.trigger(process)
    assert seen == [{"big": 2**63 - 1, "word": "bär\x00", "small": -(2**63), "text": "", "foo": 1, "bar": 2}]
    assert [work.params for work in process.works(WorkList.ACTIVE)] == [{"small": -(2**63), "text": "", "foo": 1, "bar": 2}]
