"""Bad input is a typed error, or is accepted and comes back as it was."""

import json
import math
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_process.checks import MAX_NAME, check_instant, check_process_name, check_work_name
from celery_process.exceptions import CorruptData, InvalidType, InvalidValue, ProcessError
from celery_process.instants import from_us, to_us
from celery_process.jsontext import MAX_PARAMS, decode, encode

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"x": value}
    return value


def cyclic() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["x"] = value
    return value


class TestParams:
    @given(st.dictionaries(st.text(), plain, max_size=6))
    def test_round_trip(self, params: dict[str, Any]) -> None:
        """What is accepted comes back as it was, types and all."""
        assert json.dumps(decode(encode(params)), sort_keys=True) == json.dumps(params, sort_keys=True)
        assert decode(encode(params)) == params

    @given(st.dictionaries(st.text(), plain, max_size=6))
    def test_canonical(self, params: dict[str, Any]) -> None:
        """The text is ASCII and does not depend on the order of the keys."""
        text = encode(params)
        assert text.isascii()
        assert encode(dict(reversed(params.items()))) == text == encode(decode(text))

    @pytest.mark.parametrize(
        "value",
        [
            2**53 - 1,
            2**53,
            2**53 + 1,
            2**63,
            -(2**63) - 1,
            10**400,
            0,
            -0.0,
            1e308,
            5e-324,
            "",
            "\ud800",
            "\x00",
            [],
            {},
            True,
            None,
        ],
        ids=ascii,
    )
    def test_accepted(self, value: object) -> None:
        """Large integers, lone surrogates, control characters, empty values: they come back, with their type and sign."""
        back = decode(encode({"x": value}))["x"]
        assert (back, type(back)) == (value, type(value))
        if value == 0 and isinstance(value, float):
            assert math.copysign(1, back) == -1

    @pytest.mark.parametrize(
        ("value", "error"),
        [
            (math.nan, InvalidValue),
            (math.inf, InvalidValue),
            (-math.inf, InvalidValue),
            (10**5_000, InvalidValue),
            (b"x", InvalidType),
            (bytearray(b"x"), InvalidType),
            ((1, 2), InvalidType),
            ({1, 2}, InvalidType),
            (Decimal(1), InvalidType),
            (date(2026, 3, 2), InvalidType),
            (datetime(2026, 3, 2, tzinfo=UTC), InvalidType),
            (timedelta(1), InvalidType),
            (1j, InvalidType),
            (object(), InvalidType),
            (int, InvalidType),
            (Enum("E", "a").a, InvalidType),
            (range(3), InvalidType),
            ({1: 2}, InvalidType),
            ({None: 2}, InvalidType),
            ({b"x": 2}, InvalidType),
            ({("a",): 2}, InvalidType),
            (nested(1_001), InvalidValue),
            (cyclic(), InvalidValue),
            ("x" * 10_000_000, InvalidValue),
            ("a\ud83d\ude00", InvalidValue),
            ({"\ud83d\ude00": 1, "\U0001f600": 2}, InvalidValue),
        ],
        ids=lambda value: type(value).__name__,
    )
    @pytest.mark.parametrize("inside", [lambda value: {"x": value}, lambda value: {"x": [value]}], ids=["dict", "list"])
    def test_refused(self, value: object, error: type[ProcessError], inside) -> None:
        """What would not come back as it was is refused, and the error says where it stood."""
        with pytest.raises(error) as caught:
            encode(inside(value), argument="settings")
        assert caught.value.argument == "settings"
        assert len(str(caught.value)) < 1_000

    @pytest.mark.parametrize(
        "value", [[], "x", b"x", 1, True, 1.5, object(), [("a", 1)]], ids=lambda value: type(value).__name__
    )
    def test_no_mapping(self, value: object) -> None:
        """Params are a mapping."""
        with pytest.raises(InvalidType):
            encode(value)

    def test_nothing(self) -> None:
        """None stands for no params (B7)."""
        assert encode(None) == encode({}) == "{}"
        assert decode(None) == decode("") == decode("{}") == {}

    def test_other_mappings(self) -> None:
        """Any mapping with str keys is accepted, and comes back as a dict."""

        class Own(Mapping[str, int]):
            def __getitem__(self, key):
                return 1

            def __iter__(self):
                return iter(["a"])

            def __len__(self):
                return 1

        assert decode(encode(Own())) == decode(encode(OrderedDict(a=1))) == {"a": 1}

    @pytest.mark.parametrize(
        "text", ["[]", '[["a", 1]]', '["ab"]', "null", "1", '"x"', "{", "broken", "[" * 100_000], ids=range(9)
    )
    def test_what_is_stored_is_no_object(self, text: str) -> None:
        """Text that `encode` did not write is corrupt, a list of pairs as well."""
        with pytest.raises(CorruptData, match="no JSON object"):
            decode(text)

    def test_the_place_of_a_value(self) -> None:
        """A message names the place by its beginning and its end, however deep that is."""
        value: Any = math.nan
        for level in range(60):
            value = {f"a name of the level {level}": value}
        with pytest.raises(InvalidValue) as caught:
            encode(value)
        assert "params['a name of the level 59']" in str(caught.value)
        assert "['a name of the level 0']" in str(caught.value)
        assert len(str(caught.value)) < 300

    def test_empty_list_is_no_empty_dict(self) -> None:
        """Empty lists and empty dicts stay apart."""
        assert decode(encode({"a": [], "b": {}})) == {"a": [], "b": {}}

    def test_size(self) -> None:
        """64 KiB of JSON are accepted, one byte more is not (I13)."""
        assert len(encode({"x": "y" * (MAX_PARAMS - 8)})) == MAX_PARAMS
        with pytest.raises(InvalidValue):
            encode({"x": "y" * (MAX_PARAMS - 7)})

    def test_depth(self) -> None:
        """Sixty-four levels are accepted."""
        assert decode(encode(nested(64))) == nested(64)
        with pytest.raises(InvalidValue):
            encode(nested(65))


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            "a",
            " ",
            "😀",
            "שלום",
            "\u202eabc",
            "e\u0301",
            "\u00e9",
            "it's",
            '"',
            "100%",
            "{}",
            "}{",
            ":",
            "*",
            "__proto__",
            "x" * MAX_NAME,
        ],
        ids=ascii,
    )
    def test_work(self, name: str) -> None:
        """A work item may have any printable name; nothing is normalised."""
        assert check_work_name(name) == name

    @pytest.mark.parametrize(
        "name", ["", "x" * (MAX_NAME + 1), "x" * 10_000, "\x00", "a\nb", "\x1b[31m", "\x7f", "\x85", "\ud800"], ids=ascii
    )
    def test_bad_work(self, name: str) -> None:
        """Empty and long names, control characters and lone surrogates are refused, in a message that can be logged."""
        with pytest.raises(InvalidValue) as caught:
            check_work_name(name)
        assert str(caught.value).isprintable()

    @pytest.mark.parametrize("name", [None, 1, b"a", ["a"], True])
    def test_work_of_another_type(self, name: object) -> None:
        """A name is a str."""
        with pytest.raises(InvalidType):
            check_work_name(name)
        with pytest.raises(InvalidType):
            check_process_name(name)

    @pytest.mark.parametrize("name", ["a", "key-gc", "A.b_c-1", "0", "x" * 100])
    def test_process(self, name: str) -> None:
        """A process name becomes part of task names."""
        assert check_process_name(name) == name

    @pytest.mark.parametrize(
        "name",
        ["", "x" * 101, ".a", "-a", "_a", "a b", "a\n", "a:b", "{a}", "é", "a/b", "a\x00", "celery_process", "\ud800"],
        ids=ascii,
    )
    def test_bad_process(self, name: str) -> None:
        """Other characters and the library's own name are refused."""
        with pytest.raises(InvalidValue):
            check_process_name(name)

    @given(st.text())
    def test_any_text(self, name: str) -> None:
        """Any text is accepted as it is, or refused by a typed error."""
        for check in (check_work_name, check_process_name):
            refusal = ""
            try:
                assert check(name) == name
            except ProcessError as error:
                refusal = str(error)
            assert refusal.isprintable()


class TestInstants:
    @given(st.datetimes(timezones=st.just(UTC)))
    def test_microseconds(self, instant: datetime) -> None:
        """An instant is a whole number of microseconds, and comes back."""
        assert from_us(to_us(instant)) == instant

    def test_other_zone(self) -> None:
        """An aware instant of another zone is the same instant in UTC."""
        given_ = datetime(2026, 3, 2, 12, tzinfo=timezone(timedelta(hours=5)))
        checked = check_instant(given_, argument="slot")
        assert (checked, checked.tzinfo) == (given_, UTC)

    def test_naive(self) -> None:
        """A naive datetime is refused."""
        with pytest.raises(InvalidValue):
            check_instant(datetime(2026, 3, 2), argument="slot")  # noqa: DTZ001 - what the test is about

    @pytest.mark.parametrize("value", [None, 0, 1.5, "2026-03-02", date(2026, 3, 2), timedelta(0)])
    def test_other_type(self, value: object) -> None:
        """An instant is a datetime."""
        with pytest.raises(InvalidType):
            check_instant(value, argument="slot")

    @pytest.mark.parametrize(
        "instant",
        [
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
            datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
        ],
        ids=["end", "begin"],
    )
    def test_beyond_the_calendar(self, instant: datetime) -> None:
        """An instant that UTC cannot write is refused."""
        with pytest.raises(InvalidValue):
            check_instant(instant, argument="slot")
