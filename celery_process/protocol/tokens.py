"""The token of a claim: fresh for each delivery, with the id of the Celery task that it was."""

from __future__ import annotations

import re
from uuid import uuid4

_TASK_ID = re.compile(r"[\w.\-]{1,100}", re.ASCII)
"""What an id may be made of, as those that Celery makes are; of another one the task is not known."""


def claim_token(task_id: str = "") -> str:
    """Return a fresh token for one delivery, under which `task_of` finds the Celery task that it was."""
    return uuid4().hex + (f".{task_id}" if _TASK_ID.fullmatch(task_id) else "")


def task_of(token: str | None) -> str:
    """Return the id of the Celery task whose claim had this token; empty where that is not known."""
    return token.partition(".")[2] if token else ""


def void_token(token: str) -> str:
    """Return a token that nobody holds and that tells of the same task: what an item has that was given up as lost."""
    task = task_of(token)
    return f".{task}" if task else ""
