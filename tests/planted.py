"""A secret in every fact of a process, and whether what a reader shows of it is what the table says."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_plus

from celery_process import Process, Work
from celery_process.monitor.secrets import TABLE, Fact, Mask, Reader

SECRET = {fact: f"S3CRET-{fact.name}" for fact in Fact}
SEEN = {fact: f"seen-{fact.name}" for fact in Fact}
"""What stands beside each secret, which shows whether the fact is there at all."""
NAME = f"item-{SEEN[Fact.NAMES]}"
SETTINGS = {SEEN[Fact.SETTINGS]: {"pwd": SECRET[Fact.SETTINGS]}, "of_the_code": f"redis://u:{SECRET[Fact.SETTINGS]}@h"}
PARAMS = {SEEN[Fact.PARAMS]: {"dbPassword": SECRET[Fact.PARAMS]}, "url": f"https://h/?sig={SECRET[Fact.PARAMS]}"}
NOTE = f"{SEEN[Fact.NOTES]} see redis://:{SECRET[Fact.NOTES]}@h"
ERROR = f"{SEEN[Fact.ERRORS]} at https://h/?token={SECRET[Fact.ERRORS]}"


def handler(work: Work) -> None:
    """Fail, and tell the secret of it."""
    raise ValueError(ERROR)


def plant(process: Process) -> None:
    """Give an eager process a failed run, stored settings and a pause, each with its secret."""
    process.register_work(NAME, PARAMS)
    process.update_settings({"stored": f"Bearer {SECRET[Fact.SETTINGS]}"}, by="ann")
    process.run_now()
    process.pause(NOTE, by="ann")


def is_as_told(shown: Any, reader: Reader, fact: Fact) -> bool:
    """Return whether a text shows a fact as the cell of the table says."""
    text = unquote_plus(shown if isinstance(shown, str) else json.dumps(shown, default=str))
    cell = TABLE[reader].get(fact)
    if cell is None:
        return SEEN[fact] not in text and SECRET[fact] not in text
    return SEEN[fact] in text and (SECRET[fact] in text) == (cell.mask is Mask.AS_IT_IS and fact is not Fact.NAMES)
