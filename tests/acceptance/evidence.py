"""What the witness wrote, read back: see `apps/witness.py`."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Fact:
    """One line of the witness. `at` is Unix time; `token` the fencing token."""

    fact: str
    run: str
    item: str
    attempt: int
    token: int
    params: dict[str, Any]
    pid: int
    at: float


class Evidence:
    """The facts of one test, in the order in which they were written."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "witness.jsonl"

    def facts(self, fact: str, *, run: str | None = None, item: str | None = None) -> list[Fact]:
        """Return the starts or the ends of items, of one run or item if it is named."""
        if not self._file.exists():
            return []
        found = (
            Fact(**json.loads(line)) for line in self._file.read_text().splitlines(keepends=True) if line.endswith("\n")
        )
        return [line for line in found if line.fact == fact and run in (None, line.run) and item in (None, line.item)]

    def starts(self, **which: Any) -> list[Fact]:
        """Return the starts of items."""
        return self.facts("start", **which)

    def ends(self, **which: Any) -> list[Fact]:
        """Return the ends of items."""
        return self.facts("end", **which)

    def executions(self, **which: Any) -> Counter[str]:
        """Return how often each item was worked to its end."""
        return Counter(line.item for line in self.ends(**which))
