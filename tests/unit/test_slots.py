"""Which slot an instant belongs to: intervals, jitter, and the figures of the original."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_process.instants import from_us, to_us
from celery_process.schedule.slots import Interval, clamp, comes_back, jitter_of, period, progress_of

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
instants = st.integers(to_us(datetime(1900, 1, 1, tzinfo=UTC)), to_us(datetime(2200, 1, 1, tzinfo=UTC))).map(from_us)
periods = st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(days=40_000))


class TestIntervals:
    @given(instants, periods)
    def test_slot_holds_its_instant(self, instant: datetime, every: timedelta) -> None:
        """An instant lies in its slot: at or after its begin, before the next one."""
        rule = Interval(every)
        assert rule.latest(instant) <= instant < rule.following(instant)

    @given(instants, periods)
    def test_counted_from_1970(self, instant: datetime, every: timedelta) -> None:
        """A slot is a whole number of periods from 1970 (B11)."""
        assert to_us(Interval(every).latest(instant)) % (every // timedelta(microseconds=1)) == 0

    @given(instants, periods)
    def test_slot_of_a_slot(self, instant: datetime, every: timedelta) -> None:
        """The begin of a slot belongs to that slot."""
        rule = Interval(every)
        assert rule.latest(rule.latest(instant)) == rule.latest(instant)
        assert rule.following(rule.latest(instant)) == rule.following(instant)

    @pytest.mark.parametrize(
        ("every", "instant", "slot"),
        [
            (HOUR, datetime(2026, 3, 2, 12, 59, 59, 999_999, tzinfo=UTC), datetime(2026, 3, 2, 12, tzinfo=UTC)),
            (HOUR, datetime(2026, 3, 2, 12, tzinfo=UTC), datetime(2026, 3, 2, 12, tzinfo=UTC)),
            (
                SECOND / 2,
                datetime(2026, 3, 2, 12, 0, 0, 700_000, tzinfo=UTC),
                datetime(2026, 3, 2, 12, 0, 0, 500_000, tzinfo=UTC),
            ),
            (7 * MINUTE, datetime(1970, 1, 1, 0, 15, tzinfo=UTC), datetime(1970, 1, 1, 0, 14, tzinfo=UTC)),
            (timedelta(days=7), datetime(1970, 1, 9, tzinfo=UTC), datetime(1970, 1, 8, tzinfo=UTC)),
            (HOUR, datetime(1969, 12, 31, 23, 30, tzinfo=UTC), datetime(1969, 12, 31, 23, tzinfo=UTC)),
            (HOUR, datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC), datetime(2038, 1, 19, 3, tzinfo=UTC)),
            (timedelta(days=36_525), datetime(2026, 3, 2, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)),
        ],
        ids=str,
    )
    def test_floor(self, every: timedelta, instant: datetime, slot: datetime) -> None:
        """The slot is the floor, before 1970 too, exact to the microsecond."""
        assert Interval(every).latest(instant) == slot

    def test_time_zone_plays_no_part(self) -> None:
        """An instant has one slot, whatever zone it is written in."""
        instant = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
        other = instant.astimezone(timezone_of(5.75))
        assert Interval(HOUR).latest(other) == Interval(HOUR).latest(instant)

    def test_period(self) -> None:
        """The period of an interval is its own."""
        assert period(Interval(7 * MINUTE), datetime(2026, 3, 2, tzinfo=UTC)) == 7 * MINUTE


class TestJitter:
    def test_none(self) -> None:
        """Without jitter a slot is due when it begins."""
        assert jitter_of("p", from_us(0), timedelta(0)) == timedelta(0)

    @given(st.text("abc-._09"), instants, st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(days=1)))
    def test_bounded_and_the_same_everywhere(self, name: str, slot: datetime, jitter: timedelta) -> None:
        """Every beat computes the same delay, from nothing up to the jitter."""
        delay = jitter_of(name, slot, jitter)
        assert timedelta(0) <= delay <= jitter
        assert jitter_of(name, slot.astimezone(timezone_of(2)), jitter) == delay

    def test_pinned(self) -> None:
        """The delay of a slot does not change between releases, else two versions would disagree on when it is due."""
        slot = datetime(2026, 3, 2, 12, tzinfo=UTC)
        assert jitter_of("key-gc", slot, 30 * SECOND) == timedelta(microseconds=690_336)

    def test_spread(self) -> None:
        """Delays are spread over processes and over slots."""
        slot = datetime(2026, 3, 2, 12, tzinfo=UTC)
        by_process = [jitter_of(f"p{number}", slot, 30 * SECOND) for number in range(300)]
        by_slot = [jitter_of("p", slot + number * HOUR, 30 * SECOND) for number in range(300)]
        for delays in (by_process, by_slot):
            assert len(set(delays)) == 300
            assert all(70 < sum(third <= delay / (10 * SECOND) < third + 1 for delay in delays) < 130 for third in range(3))


class TestComingBack:
    @pytest.mark.parametrize(
        ("due_in", "whole", "back"),
        [
            (timedelta(0), HOUR, False),
            (SECOND, HOUR, True),
            (30 * SECOND, HOUR, True),
            (31 * SECOND, HOUR, False),
            (5 * SECOND, 10 * SECOND, True),
            (6 * SECOND, 10 * SECOND, False),
            (-SECOND, HOUR, False),
        ],
    )
    def test_early_trigger(self, due_in: timedelta, whole: timedelta, *, back: bool) -> None:
        """An early trigger comes back within 30 s and half the period."""
        assert comes_back(due_in, whole) is back


class TestFrequencies:
    @pytest.mark.parametrize(
        ("schedule", "clamped", "progress"),
        [(timedelta(0), 15 * MINUTE, 90 * SECOND), (HOUR, HOUR, 5 * MINUTE), (12 * HOUR, 12 * HOUR, 5 * MINUTE)],
    )
    def test_figures_of_the_original(self, schedule: timedelta, clamped: timedelta, progress: timedelta) -> None:
        """With a minimum of 15 minutes the figures are the original's (B2)."""
        minimum = 15 * MINUTE
        assert clamp(schedule, minimum) == clamped
        assert progress_of(clamp(schedule, minimum), minimum) == progress

    def test_no_upper_clamp(self) -> None:
        """A schedule of a century stays one."""
        assert clamp(timedelta(days=36_525), SECOND) == timedelta(days=36_525)

    @pytest.mark.parametrize(
        ("schedule", "progress"),
        [(SECOND, SECOND), (20 * SECOND, 2 * SECOND), (HOUR, 30 * SECOND), (24 * HOUR, 30 * SECOND)],
    )
    def test_without_a_minimum(self, schedule: timedelta, progress: timedelta) -> None:
        """Without a minimum progress is a tenth of the schedule, between 1 and 30 seconds."""
        assert progress_of(schedule, None) == progress


def timezone_of(hours: float):
    from datetime import timezone

    return timezone(timedelta(hours=hours))
