"""Generated calls with generated values: a seed makes them, and names the call that was not refused or kept."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.hostile import NUMBERS, OTHERS, TEXTS, VALUES, payloads

from .entrances import ENTRANCES, KEPT, REFUSED, Office, passed

CALLS = int(os.environ.get("CP_T7_CALLS", "20000"))
"""Calls in all; a longer run asks for more."""
SEED = int(os.environ.get("CP_T7_SEED", "20260302"))
PARTS = 4
PAYLOADS = payloads()


def text(of: random.Random) -> str:
    """Return a text of characters of all planes, or of pieces of hostile ones."""
    if of.random() < 0.5:
        pieces = [str(one) for one in of.choices(TEXTS, k=of.randint(1, 3)) if len(one) < 50]
        return "".join([*pieces, of.choice(PAYLOADS)][: of.randint(1, 4)])
    planes = (0x20, 0x7F), (0, 0x20), (0x80, 0x3000), (0xD800, 0xE000), (0x1F300, 0x1FAFF)
    ranges = of.choices(planes, weights=(6, 1, 2, 1, 1), k=of.choice((1, 2, 5, 20, 100, 191, 192)))
    return "".join(chr(of.randrange(*ends)) for ends in ranges)


def number(of: random.Random) -> Any:
    """Return a number about some power, of either sign, or one of the usual ones."""
    kind = of.randrange(4)
    if kind == 0:
        return of.choice(NUMBERS)
    if kind == 1:
        return of.choice((1, -1)) * (2 ** of.randrange(0, 90) + of.randint(-1, 1))
    if kind == 2:
        return of.choice((1, -1)) * of.random() * 10.0 ** of.randint(-320, 308)
    return of.randint(-5, 2_000)


def value(of: random.Random, depth: int = 0) -> Any:
    """Return a value of any type, and lists and dicts of such."""
    kind = of.randrange(8 if depth < 4 else 5)
    if kind < 2:
        return text(of)
    if kind == 2:
        return number(of)
    if kind == 3:
        return of.choice(OTHERS)
    if kind == 4:
        return of.choice((None, True, False))
    if kind == 5:
        return [value(of, depth + 1) for _ in range(of.randint(0, 4))]
    keys: list[Any] = [text(of) if of.random() < 0.9 else of.choice(NUMBERS) for _ in range(of.randint(0, 4))]
    return {key: value(of, depth + 1) for key in keys}


@pytest.mark.parametrize("part", range(PARTS))
def test_generated_calls(part: int, say: Callable[[str], None]) -> None:
    """Each is refused by a typed error and changes nothing, or is kept and comes back as it was."""
    of = random.Random(SEED + part)
    office = Office()
    before = office.snapshot()
    found: Counter[str] = Counter()
    for call in range(CALLS // PARTS):
        entrance = of.choice(ENTRANCES)
        given = value(of) if of.random() < 0.9 else of.choice(VALUES)
        ended = passed(entrance, given, office, before)
        assert ended in (REFUSED, KEPT), f"CP_T7_SEED={SEED}, part {part}, call {call}: {ended}"
        found[ended] += 1
        if ended != REFUSED and office.snapshot() != before:
            office = Office()
            before = office.snapshot()
    assert min(found[REFUSED], found[KEPT]) > CALLS // PARTS // 50
    say(f"T7: generated calls {part + 1}/{PARTS}: {found[REFUSED]:,} refused, {found[KEPT]:,} kept, 0 crashes")
