"""Every behaviour and every fault has a test, and docs/behaviours.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "behaviours.md"
LATER = {
    "B38": "no endpoint answers the state words; they follow from the documents",
    "B39": "the read-only view is the endpoint's",
}
"""Numbers without a test here, each with its reason."""
NUMBERS = [f"B{number}" for number in range(1, 41)] + [f"W{number}" for number in range(1, 32)]


def golden_tests() -> dict[str, set[str]]:
    """Return the names of the golden tests by the number in them, as file: name."""
    found: dict[str, set[str]] = {}
    for path in sorted(HERE.glob("test_*.py")):
        for name, letter, number in re.findall(r"^def (test_([bw])(\d+)_\w+)\(", path.read_text(), re.MULTILINE):
            found.setdefault(f"{letter.upper()}{number}", set()).add(f"{path.name}: {name}")
    return found


def rows_of_the_page() -> dict[str, tuple[str, set[str]]]:
    """Return what the page says of each number: its sentence and its tests."""
    rows = {}
    for line in PAGE.read_text().splitlines():
        if match := re.fullmatch(r"\| ([BW]\d+) \| (.+?) \| `(test_\w+\.py)`: (.+) \|", line):
            number, sentence, file, tests = match.groups()
            rows[number] = (sentence, {f"{file}: {name}" for name in re.findall(r"`(test_\w+)`", tests)})
    return rows


@pytest.mark.parametrize("number", [number for number in NUMBERS if number not in LATER])
def test_the_number_has_a_test(number: str) -> None:
    """Each number has a golden test whose docstring names it."""
    tests = golden_tests().get(number, set())
    assert tests, f"{number} has no test in tests/golden"
    for test in tests:
        file, name = test.split(": ")
        docstring = re.search(rf'def {name}\(.*?"""(.+?)"""', (HERE / file).read_text(), re.DOTALL)
        assert docstring is not None
        assert re.search(rf"\b{number}\b", docstring[1]), f"{test} does not name {number}"


def test_what_is_left_for_later_has_no_test_yet() -> None:
    """A number that got its test leaves the list of those that are left for later."""
    assert not set(LATER) & set(golden_tests())


def test_no_test_has_a_number_that_does_not_exist() -> None:
    """Each number in a test's name is one of B1 to B40 and W1 to W31."""
    assert set(golden_tests()) <= set(NUMBERS)


def test_the_page_has_each_number_with_all_its_tests() -> None:
    """docs/behaviours.md has a row for each number that has a test, and each names all tests of its number."""
    rows, tests = rows_of_the_page(), golden_tests()
    assert {number: row[1] for number, row in rows.items()} == tests
    assert all(sentence.endswith(".") for sentence, _ in rows.values())
