"""The witness: handlers append what they do to a file of the test's, so that nothing is counted by the store alone.

One line a fact, written by one call: appends of several operating-system processes do not mix, and a line that was
written survives the death of its writer.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("CP_TEST_FOLDER", "."))
"""The folder of the test, which workers and test share."""


def tell(fact: str, work: Any) -> None:
    """Append one fact about an item."""
    line = {
        "fact": fact,
        "run": work.run.id,
        "item": work.name,
        "attempt": work.attempt,
        "token": work.fencing_token,
        "params": work.params,
        "pid": os.getpid(),
        "at": time.time(),
    }
    descriptor = os.open(FOLDER / "witness.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, f"{json.dumps(line)}\n".encode())
    finally:
        os.close(descriptor)


@contextmanager
def witnessed(work: Any) -> Iterator[None]:
    """Tell the start of an item, and its end however it ends; a killed one has no end."""
    tell("start", work)
    try:
        yield
    finally:
        tell("end", work)
