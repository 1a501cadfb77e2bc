"""How many errors are tolerated."""

import pytest

from celery_process.exceptions import InvalidType, InvalidValue
from celery_process.protocol.tolerance import Tolerance, exceeded


class TestExceeded:
    @pytest.mark.parametrize(
        ("errors", "limit", "beyond"),
        [
            (9, 10, False),
            (10, 10, False),
            (11, 10, True),
            (25, 25, False),
            (26, 25, True),
            (0, 0, False),
            (1, 0, True),
            (10**9, None, False),
        ],
    )
    def test_last_tolerated_is_continue(self, errors: int, limit: int | None, *, beyond: bool) -> None:
        """The 10th of 10 is Continue, the 11th is Abort, and so on with every later one (B28)."""
        assert exceeded(errors, limit) is beyond

    def test_original_figures(self) -> None:
        """By default an item tolerates 10 errors and a run 25."""
        assert (Tolerance().per_work, Tolerance().run_limit(1_000)) == (10, 25)


class TestRunLimit:
    @pytest.mark.parametrize(
        ("tolerance", "listed", "limit"),
        [
            (Tolerance(percent=5), 100, 5),
            (Tolerance(percent=5), 1_000, 25),
            (Tolerance(per_run=None, percent=5), 1_000, 50),
            (Tolerance(per_run=None, percent=5), 19, 0),
            (Tolerance(per_run=None, percent=100), 7, 7),
            (Tolerance(per_run=None, percent=0), 7, 0),
            (Tolerance(per_run=None), 7, None),
            (Tolerance(per_run=0), 7, 0),
        ],
        ids=str,
    )
    def test_stricter_counts(self, tolerance: Tolerance, listed: int, limit: int | None) -> None:
        """Of the number and the share of the listed items the stricter one counts; None switches one off."""
        assert tolerance.run_limit(listed) == limit


class TestBadTolerances:
    @pytest.mark.parametrize("argument", ["per_work", "per_run"])
    @pytest.mark.parametrize(
        ("value", "error"),
        [(-1, InvalidValue), (True, InvalidType), (1.0, InvalidType), ("1", InvalidType), (float("nan"), InvalidType)],
    )
    def test_counts(self, argument: str, value: object, error: type[Exception]) -> None:
        """A count is an int from 0 or None."""
        with pytest.raises(error) as caught:
            Tolerance(**{argument: value})  # type: ignore[arg-type]
        assert caught.value.argument == argument  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        ("value", "error"),
        [
            (-0.1, InvalidValue),
            (100.1, InvalidValue),
            (float("nan"), InvalidValue),
            (float("inf"), InvalidValue),
            (True, InvalidType),
            ("5", InvalidType),
        ],
    )
    def test_percent(self, value: object, error: type[Exception]) -> None:
        """A share is a number from 0 to 100 or None."""
        with pytest.raises(error):
            Tolerance(percent=value)  # type: ignore[arg-type]

    @pytest.mark.parametrize("argument", ["ignore", "fail"])
    @pytest.mark.parametrize("value", [(int,), ("KeyError",), (KeyError(),), "KeyError", [None]])
    def test_classes(self, argument: str, value: object) -> None:
        """What is ignored or fails is named by exception classes."""
        with pytest.raises(InvalidType):
            Tolerance(**{argument: value})  # type: ignore[arg-type]

    @pytest.mark.parametrize("value", [KeyError, (KeyError,), [KeyError], {KeyError}])
    def test_one_class_or_several(self, value: object) -> None:
        """One class may stand alone; they are kept as a tuple."""
        assert Tolerance(ignore=value).ignore == (KeyError,)  # type: ignore[arg-type]


@pytest.mark.parametrize("argument", ["per_work", "per_run"])
def test_more_than_a_store_counts(argument: str) -> None:
    """A tolerance beyond what a store can count is refused where it is written; the largest one is taken."""
    assert Tolerance(**{argument: 1_000_000_000})
    with pytest.raises(InvalidValue, match="at most 1,000,000,000"):
        Tolerance(**{argument: 2**63})
