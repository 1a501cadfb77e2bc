"""The arguments and the end of a task of items, as monitors display them. Must not know Celery.

A task succeeds if all its items completed, with a result that counts them; else it fails with the error of an item.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from celery_process.engine.runner import EndedItem
from celery_process.exceptions import WorkFailed
from celery_process.protocol.states import WorkState
from celery_process.text.masking import masked_text

MAX_NAMES_LENGTH = 600
"""Characters of the names of a batch in its arguments: Celery cuts those at 1,024, and a cut dict cannot be searched."""
MAX_FAILURES = 3


def searchable_kwargs(kwargs: Mapping[str, Any]) -> str:
    """Return the arguments of a message for monitors to display and search: a literal dict, with the first of many names."""
    if "works" not in kwargs:
        return repr(dict(kwargs))
    first: list[str] = []
    length = 0
    for name in kwargs["works"]:
        length += len(repr(name)) + 2
        if length > MAX_NAMES_LENGTH and first:
            break
        first.append(name)
    more = len(kwargs["works"]) - len(first)
    return repr({**kwargs, "works": [*first, f"… and {more} more"] if more else first})


def outcome_of(process: str, items: Sequence[EndedItem], *, show_command: Callable[[str], str]) -> str:
    """Return how the items of one message ended, in the store's words, and how many were given back.

    If one did not complete, raises `WorkFailed`, caused by the error of the first such item's handler; `show_command`
    returns the command that shows an item.
    """
    worked = [item for item in items if not item.given_back]
    rest = [f"{len(items) - len(worked)} given back"] if len(worked) < len(items) else []
    failed = [item for item in worked if item.outcome is not WorkState.COMPLETED]
    if failed:
        sentences = "; ".join(_sentence(item) for item in failed[:MAX_FAILURES])
        more = f"; and {len(failed) - MAX_FAILURES} more" if len(failed) > MAX_FAILURES else ""
        counts = ", ".join([f"{len(failed)} of {len(worked)} items did not complete", *rest])
        raise WorkFailed(
            f"{'' if len(items) == 1 else f'{counts}: '}{sentences}{more}. See `{show_command(failed[0].name)}`.",
            process=process,
            works=tuple(item.name for item in failed),
            outcomes=tuple(item.outcome.value if item.outcome else None for item in failed),
        ) from next((item.error for item in failed if item.error is not None), None)
    errors = sum(item.errors for item in worked)
    words = Counter(item.outcome.value for item in worked if item.outcome is not None)
    ends = [word if len(items) == 1 else f"{count} {word}" for word, count in words.items()]
    return ", ".join([*ends, *([f"{errors} tolerated errors"] if errors else []), *rest])


def _sentence(item: EndedItem) -> str:
    text = masked_text(item.text)  # everybody who may see tasks reads it in the result backend, in events and in Flower
    if item.outcome is None:
        return f"{item.name!r} {text or 'was lost to another worker'}"
    errors = f" after {item.errors} errors, the last one: {text}" if item.errors > 1 else f": {text}"
    return f"{item.name!r} ended {item.outcome.value}{errors if item.errors else ''}"
