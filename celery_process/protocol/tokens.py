"""The token of a claim: fresh for each delivery of a message, with the id of its Celery task."""

from __future__ import annotations

import re
from uuid import uuid4

_TASK_ID = re.compile(r"[\w.\-]{1,100}", re.ASCII)
"""A task id that a token can carry, as Celery makes them; of another id the token carries none."""


def claim_token(task_id: str = "") -> str:
    """Return a fresh token for one delivery, in which `task_of` finds the id of its Celery task."""
    return uuid4().hex + (f".{task_id}" if _TASK_ID.fullmatch(task_id) else "")


def task_of(token: str | None) -> str:
    """Return the id of the Celery task whose claim had this token; empty if it is not known."""
    return token.partition(".")[2] if token else ""


def void_token(token: str) -> str:
    """Return a token that nobody holds, with the same task id: the token of an item that was given up as lost."""
    task = task_of(token)
    return f".{task}" if task else ""
