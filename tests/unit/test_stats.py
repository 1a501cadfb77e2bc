"""Stats and error texts: bad input is a typed error or is cut to size."""

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_process.checks import error_text
from celery_process.config import Config
from celery_process.definition.options import define
from celery_process.engine.dispatch import Dispatch
from celery_process.engine.heartbeat import Heartbeat
from celery_process.engine.runner import Runner
from celery_process.exceptions import InvalidType, InvalidValue
from celery_process.protocol.stats import MAX_STATS, MAX_SUMMED_STATS, OTHER_STATS, add_stats, check_stat
from celery_process.stores.memory import MemoryStore
from tests.ports import LoosePort

LARGEST = 1.7976931348623157e308


class TestStats:
    @pytest.mark.parametrize("count", [0, 1, -1, 0.5, -2.5, 2**53 + 1, 2**63, 1e308, LARGEST, -LARGEST, 5e-324])
    def test_accepted(self, count: float) -> None:
        """Any finite number may be counted, negative ones too."""
        assert check_stat("x", count, {}) == count

    @pytest.mark.parametrize("count", [math.nan, math.inf, -math.inf, 10**400, -(10**400)])
    def test_not_finite(self, count: float) -> None:
        """What is not finite, or too large for a float, is refused."""
        with pytest.raises(InvalidValue):
            check_stat("x", count, {})

    @pytest.mark.parametrize("count", [True, "1", None, b"1", 1j, Decimal(1), [1]], ids=ascii)
    def test_no_number(self, count: object) -> None:
        """A bool is no number here, nor is a str."""
        with pytest.raises(InvalidType):
            check_stat("x", count, {})

    @pytest.mark.parametrize(("known", "count"), [(1e308, 1e308), (-1e308, -1e308), (LARGEST, LARGEST), (10**308, 10**308)])
    def test_sum_not_finite(self, known: float, count: float) -> None:
        """A sum that leaves the range of floats is refused."""
        with pytest.raises(InvalidValue):
            check_stat("x", count, {"x": known})

    @pytest.mark.parametrize(
        "name",
        [
            "workItems",
            "workItemsCleaned",
            "workItemsDirty",
            "workItemsAborted",
            "errors",
            "runs",
            "duration",
            "work.x",
            "state.x",
        ],
    )
    def test_reserved(self, name: str) -> None:
        """The library's own names are refused (W31)."""
        with pytest.raises(InvalidValue):
            check_stat(name, 1, {})

    @pytest.mark.parametrize("name", ["workitems", "error", "works", "state", "work", "é 😀", "x" * 100, "%s", "'"])
    def test_names(self, name: str) -> None:
        """Names that only look like them are accepted."""
        assert check_stat(name, 1, {}) == 1

    @pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", "\x00", "\ud800", "\x1b[31m"], ids=ascii)
    def test_bad_names(self, name: str) -> None:
        """Empty, long and unprintable names are refused."""
        with pytest.raises(InvalidValue):
            check_stat(name, 1, {})

    @pytest.mark.parametrize("name", [None, 1, b"x"])
    def test_names_of_another_type(self, name: object) -> None:
        """A name is a str."""
        with pytest.raises(InvalidType):
            check_stat(name, 1, {})

    def test_many(self) -> None:
        """A hundred stats may be kept; a known one may always be added to (I13)."""
        known = dict.fromkeys(map(str, range(MAX_STATS)), 1)
        assert check_stat("0", 1, known) == 1
        with pytest.raises(InvalidValue):
            check_stat("one more", 1, known)

    @pytest.mark.parametrize(
        ("first", "second", "total"),
        [
            (1, 2, 3),
            (1, 0.5, 1.5),
            (1e308, 1e308, LARGEST),
            (-1e308, -1e308, -LARGEST),
            (10**308, 10**308, LARGEST),
            (-(10**308), -(10**308), -LARGEST),
            (2**1023, 2**1023, LARGEST),
            (LARGEST, 2**1000, LARGEST),
        ],
        ids=range(8),
    )
    def test_sums(self, first: float, second: float, total: float) -> None:
        """A sum that leaves the range of floats stays at its end, so that a run can always be closed."""
        into = {"x": first}
        add_stats(into, {"x": second})
        assert into == {"x": total}

    @given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**308), 10**308), max_size=9))
    def test_any_sum(self, counts: list[float]) -> None:
        """A sum is always finite."""
        into: dict[str, float] = {}
        for count in counts:
            add_stats(into, {"x": count})
        assert math.isfinite(into.get("x", 0))


class Broken(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class NoText(Exception):
    def __str__(self) -> str:
        return 3  # type: ignore[return-value]  # noqa: PLE0307 - what the test is about


class TestErrorTexts:
    @pytest.mark.parametrize(
        ("error", "text"),
        [
            (ValueError("bad"), "ValueError: bad"),
            ("bad", "bad"),
            (KeyError("k"), "KeyError: 'k'"),
            (KeyboardInterrupt(), "KeyboardInterrupt:"),
            (SystemExit(3), "SystemExit: 3"),
            (ValueError("a\nb\tc\r\nd"), "ValueError: a b c d"),
            ("\x1b[31mred\x1b[0m", "[31mred [0m"),
            ("a\ud800b", "a b"),
            ("a\u202eb", "a b"),
            ("", "str"),
            ("\x00\x01", "str"),
            (ValueError("😀"), "ValueError: 😀"),
        ],
        ids=ascii,
    )
    def test_text(self, error: object, text: str) -> None:
        """An error is its class and its text, on one printable line."""
        assert error_text(error) == text

    @pytest.mark.parametrize("error", [Broken(), NoText()])
    def test_text_that_cannot_be_made(self, error: Exception) -> None:
        """An error whose text raises is named by its class."""
        assert error_text(error).startswith(type(error).__name__)

    @pytest.mark.parametrize(
        "text", ["x" * 10_000_000, "😀" * 10_000_000, "\x00" * 10_000_000, "a b " * 2_500_000], ids=range(4)
    )
    def test_long(self, text: str) -> None:
        """Of ten megabytes the first 1,024 characters are kept (I13)."""
        assert 0 < len(error_text(text)) <= 1_024
        assert 0 < len(error_text(ValueError(text))) <= 1_024

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Whatever the text, what is kept is printable, short and not empty."""
        kept = error_text(ValueError(text))
        assert kept.isprintable()
        assert kept == error_text(kept)
        assert 0 < len(kept) <= 1_024


@pytest.mark.parametrize(("names", "warnings"), [(MAX_SUMMED_STATS - 1, 0), (MAX_SUMMED_STATS + 50, 1)])
def test_a_run_with_too_many_names_is_told_once(caplog: pytest.LogCaptureFixture, names: int, warnings: int) -> None:
    """Beyond a thousand names of stats the end of a run warns once, with what to do; below it does not."""
    store = MemoryStore()
    store.register("p", dict.fromkeys([f"n{number}" for number in range(names // 50 + 1)], "{}"))

    def count(work: Any) -> None:
        for number in range(50):
            if int(work.name[1:]) * 50 + number < names:
                work.add_stats(f"{work.name}.{number}")

    def send(on: Any, names: tuple[str, ...], run_id: str, *, single: bool = False) -> None:
        Runner(dispatch, Heartbeat()).run(run_id, names)

    dispatch = Dispatch(
        definition=define("p", count, {"schedule": None}),
        store=store,
        config=Config(),
        port=LoosePort(send=send, inline=True),
    )
    run = dispatch.run_now(slot=None, by="")
    told = [record for record in caplog.records if getattr(record, "action", "") == "stats_capped"]
    assert len(told) == warnings
    assert run.stats.get(OTHER_STATS, 0) == (0 if not warnings else names - sum(n.startswith("work.") for n in run.stats))


def test_the_name_of_the_rest_is_kept_by_the_library() -> None:
    """Nobody counts under the name in which the rest is summed up."""
    with pytest.raises(InvalidValue, match="kept by the library"):
        check_stat(OTHER_STATS, 1, {})
