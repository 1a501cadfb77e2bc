"""Any value at any public entrance: a typed error that says what to do and changes nothing, or it comes back as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from tests.hostile import VALUES, WITHOUT_TEXT

from .entrances import ENTRANCES, KEPT, REFUSED, Entrance, Office, passed


def outcomes(entrance: Entrance, values: Iterable[Any]) -> Counter[str]:
    """Pass each value to a store that no other value changed, and count how that ended."""
    found: Counter[str] = Counter()
    office = Office()
    before = office.snapshot()
    for value in values:
        ended = passed(entrance, value, office, before)
        found[ended] += 1
        if ended != REFUSED and office.snapshot() != before:
            office = Office()
            before = office.snapshot()
    return found


@pytest.mark.parametrize("entrance", ENTRANCES, ids=lambda entrance: entrance.name)
def test_any_value(entrance: Entrance) -> None:
    """Each value is refused as its type and the entrance's demand, or kept."""
    found = outcomes(entrance, VALUES)
    assert [fault for fault in found if fault not in (REFUSED, KEPT)] == []


@pytest.mark.parametrize("entrance", ENTRANCES, ids=lambda entrance: entrance.name)
def test_a_value_without_a_text(entrance: Entrance) -> None:
    """An error about a value that has no repr, or one of several lines, is one line all the same."""
    assert [fault for fault in outcomes(entrance, WITHOUT_TEXT) if fault not in (REFUSED, KEPT)] == []
