"""The report of a claim's holder: totals kept, errors charged, items ended, a clean cleanup dropped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from celery_process.protocol import rules
from celery_process.protocol.model import ErrorEntry
from celery_process.protocol.reports import ItemAnswer, ItemReport, Reported, Settled
from celery_process.protocol.states import Progress
from celery_process.stores.redis.client import Client
from celery_process.stores.redis.corrupt import readable
from celery_process.stores.redis.items import MICROSECOND
from celery_process.stores.redis.keys import RunKey, chunks, token_text
from celery_process.stores.redis.pages import fold_all_done
from celery_process.stores.redis.records import OUTCOME_LETTERS, encode_stats

PROGRESS = {progress.value: progress for progress in Progress}
MOST = 100
"""Reports that one script takes: each may have a hundred stats and the texts of its errors."""


@readable
def report(client: Client, key: RunKey, reports: Sequence[ItemReport], *, token: str, lease: timedelta) -> Reported:
    """Write reports; pages that this ended are folded after it.

    A repeat checks its page again, since the first call may have died between the two.
    """
    answers: list[ItemAnswer] = []
    settled, stopping, aborting = Settled(), False, False
    how = (token_text(token), lease // MICROSECOND)
    encoded = [_arguments(given) for given in reports]  # all of them before the first is sent
    for places in chunks(range(len(reports)), MOST):
        given = [reports[place] for place in places]
        values = [value for place in places for value in encoded[place]]
        answer = client.call("report", "report", key.process, key.epoch, key.id, *how, *values)
        if not answer:
            answers += [ItemAnswer(one.name, Progress.CONFLICT) for one in given]
            continue
        of_run, due, said, aborted, aborting = answer
        answers += [_answer(one, words, of_run) for one, words in zip(given, said.split("\n"), strict=True)]
        stopping = stopping or bool(aborted)
        settled |= fold_all_done(client, "report", key, due)
    open_still = settled.run is None
    return Reported(
        items=tuple(answers),
        stopping=stopping and open_still,
        aborting=bool(aborting) and open_still,
        page_closed=settled.page_closed,
        run=settled.run,
    )


def _arguments(report: ItemReport) -> list[str]:
    totals = report.totals
    outcome = OUTCOME_LETTERS[report.outcome] if report.outcome is not None else ""
    line = (
        f"{report.sequence}\n{outcome}\n{report.attempt}\n{report.params_version}\n{report.settings_version}\n"
        f"{totals.error_count}\n{totals.run_error_count}\n{len(totals.errors)}\n{len(totals.run_errors)}"
    )
    arguments = [report.name, line, f"{encode_stats(totals.stats)}\n{encode_stats(totals.run_stats)}"]
    for entry in (*totals.errors, *totals.run_errors):
        arguments += _around_time(entry)
    return arguments


def _around_time(entry: ErrorEntry) -> tuple[str, str]:
    """Return an entry as JSON, in two parts between which the store's time goes (W5)."""
    return f"[{json.dumps(entry.text)},", f",{json.dumps(entry.work)}]"


def _answer(given: ItemReport, said: str, of_run: Sequence[Any]) -> ItemAnswer:
    progress = PROGRESS.get(said)
    if progress is not None:
        return ItemAnswer(given.name, progress)
    _, version, params = said.split(" ", 2)
    defaults, override, settings_version = of_run
    return ItemAnswer(
        given.name,
        Progress.MERGED,
        params=params,
        params_version=int(version),
        settings=rules.effective(defaults, override),
        settings_version=int(settings_version or 0),
    )
