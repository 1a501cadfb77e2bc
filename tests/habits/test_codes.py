"""Each code that code, tests and docs name, such as B28, W5, I7, S1, T2 or decision 4, is explained in one place."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
HOMES = {
    "B": ("behaviours.md", r"^\| (B\d+) \|"),
    "W": ("behaviours.md", r"^\| (W\d+) \|"),
    "I": ("protocol.md", r"^\| (I\d+) \|"),
    "S": ("benchmarks.md", r"^\| (S\d+C?) \| "),
    "T": ("testing.md", r"^\| (T\d) \|"),
}
"""Where the codes of a letter stand, one a row of a table."""
FOREIGN = {
    "M3": "a month in a POSIX time zone",
    "M11": "the same",
    "D1": "rules of ruff",
    "W3C": "who defines trace context",
}
"""What looks like a code and is somebody else's."""
FOLDERS = ("celery_process", "tests", "docs", "benchmarks", "example_project")
KINDS = (".py", ".md", ".lua", ".toml")
CODE = re.compile(r"(?<![\w./#-])([A-Z])(\d{1,2})(C?)(?![\w/-])")


def texts() -> list[Path]:
    inside = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in KINDS]
    return [*inside, *(path for path in ROOT.iterdir() if path.suffix in KINDS)]


def explained() -> set[str]:
    found: set[str] = set()
    for page, row in HOMES.values():
        found.update(re.findall(row, (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE))
    return found


def named(pattern: re.Pattern[str]) -> dict[str, set[str]]:
    """Return the files in which each code is named."""
    found: dict[str, set[str]] = {}
    for path in texts():
        for parts in pattern.findall(path.read_text(encoding="utf-8")):
            found.setdefault("".join(parts), set()).add(str(path.relative_to(ROOT)))
    return found


def test_every_code_is_explained() -> None:
    """A letter with a number, in code, tests and docs, has a row in the page of its letter."""
    known, codes = explained() | set(FOREIGN), named(CODE)
    assert {letter for code in codes.keys() - FOREIGN.keys() for letter in code[0]} == set(HOMES)
    assert {code: sorted(files) for code, files in codes.items() if code not in known} == {}


def test_every_decision_is_explained() -> None:
    """The decisions named in code and tests are rows of docs/behaviours.md."""
    rows = set(re.findall(r"^\| (\d+) \|", (DOCS / "behaviours.md").read_text(encoding="utf-8"), re.MULTILINE))
    numbers = named(re.compile(r"\bdecisions? (\d+)")) | named(re.compile(r"\bdecisions \d+ and (\d+)"))
    assert numbers.keys() <= rows
    assert numbers


def test_every_system_check_is_explained() -> None:
    """The ids of Django's system checks are those of the table in docs/django.md."""
    source = (ROOT / "celery_process" / "contrib" / "django" / "checks.py").read_text(encoding="utf-8")
    listed = re.findall(
        r"^\| `celery_process\.([EW]\d+)` \|", (DOCS / "django.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(listed) == sorted(set(re.findall(r'id="celery_process\.([EW]\d+)"', source)))


def test_what_is_foreign_is_named() -> None:
    """The list of other people's codes has none that nobody names any more."""
    assert set(FOREIGN) <= set(named(CODE))
