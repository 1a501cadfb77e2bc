"""The report of a claim's holder: totals kept, errors charged, items ended, a clean cleanup dropped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from celery_process import rules
from celery_process.model import ErrorEntry, ItemAnswer, ItemReport, Reported
from celery_process.states import Progress
from celery_process.stores.redis.client import Client
from celery_process.stores.redis.items import MICROSECOND
from celery_process.stores.redis.keys import RunKey, chunks, token_text
from celery_process.stores.redis.pages import Settled, settle_all
from celery_process.stores.redis.records import OUTCOME_LETTERS, encode_stats

MOST = 100
"""Reports that one script takes: each may bring a hundred stats and the texts of its errors."""


def report(client: Client, key: RunKey, reports: Sequence[ItemReport], *, token: str, lease: timedelta) -> Reported:
    """Write reports; pages that this ended are folded after it.

    A repeat looks at its page again, for the first call may have died between the two.
    """
    answers: list[ItemAnswer] = []
    settled, stopping, aborting = Settled(), False, False
    how = (token_text(token), lease // MICROSECOND)
    encoded = [tuple(_arguments(given)) for given in reports]  # all of them before the first is sent
    for places in chunks(range(len(reports)), MOST):
        given = [reports[place] for place in places]
        values = [value for place in places for value in encoded[place]]
        answer = client.call("report", "report", key.process, key.epoch, key.id, *how, *values)
        if not answer:
            answers += [ItemAnswer(one.name, Progress.CONFLICT) for one in given]
            continue
        of_run, due, said, aborted, aborting = answer
        answers += [_answer(one, words, of_run) for one, words in zip(given, said, strict=True)]
        stopping = stopping or bool(aborted)
        settled |= settle_all(client, "report", key, due)
    open_still = settled.run is None
    return Reported(
        items=tuple(answers),
        stopping=stopping and open_still,
        aborting=bool(aborting) and open_still,
        page_closed=settled.page_closed,
        run=settled.run,
    )


def _arguments(report: ItemReport) -> Iterator[Any]:
    totals = report.totals
    yield report.name
    yield report.sequence
    yield "" if report.outcome is None else OUTCOME_LETTERS[report.outcome]
    yield encode_stats(totals.stats)
    yield encode_stats(totals.run_stats)
    yield report.params_version
    yield report.settings_version
    yield totals.error_count
    yield totals.run_error_count
    yield len(totals.errors)
    yield len(totals.run_errors)
    yield report.attempt
    for entry in (*totals.errors, *totals.run_errors):
        yield from _around_time(entry)


def _around_time(entry: ErrorEntry) -> tuple[str, str]:
    """Return an entry as JSON, in two parts between which the store's time goes (W5)."""
    return f"[{json.dumps(entry.text)},", f",{json.dumps(entry.work)}]"


def _answer(given: ItemReport, said: Sequence[str], of_run: Sequence[Any]) -> ItemAnswer:
    progress = Progress(said[0])
    if progress is not Progress.MERGED:
        return ItemAnswer(given.name, progress)
    defaults, override, settings_version = of_run
    return ItemAnswer(
        given.name,
        progress,
        params=said[1],
        params_version=int(said[2]),
        settings=rules.effective(defaults, override),
        settings_version=int(settings_version or 0),
    )
