"""Pages: opened with the next names of a run, folded into it once nothing of them is open, and the close of the run.

A page is folded by a script after the one that ended its last item: in between its items cannot change. If they have stats,
or the run closes with the page, the totals are added here, where numbers are exact: the script returns the facts, and takes
the sums if the run is still as it was read. Of two concurrent folds one finds it so; the other reads newer facts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from celery_process.instants import from_us
from celery_process.protocol import rules
from celery_process.protocol.limits import COMEBACK
from celery_process.protocol.model import Page
from celery_process.protocol.read import run_status
from celery_process.protocol.reports import Settled
from celery_process.protocol.states import PageAnswer, RunState
from celery_process.stores.redis.client import Client
from celery_process.stores.redis.corrupt import readable
from celery_process.stores.redis.hashes import read_run
from celery_process.stores.redis.keys import CHUNK, RunKey, token_text
from celery_process.stores.redis.records import LISTS, add_up, decode_stats, encode_stats, pairs

TRIES = 200
"""Times that a fold is tried. Each time but the last another fold was first; the sweep folds what remains open."""
BUDGET = 1_000
"""Names that one script reads at most to find those that the run has not enlisted."""


def fold_all_done(client: Client, operation: str, key: RunKey, pages: Iterable[str]) -> Settled:
    """Fold pages, in their order."""
    settled = Settled()
    for page in pages:
        settled |= fold_if_done(client, operation, key, page)
    return settled


def fold_if_done(client: Client, operation: str, key: RunKey, page: str = "") -> Settled:
    """Fold a page that has nothing open any more, and close the run if it is due; without a page, the close alone."""
    of_run = (key.epoch, key.id, page)
    answer, *rest = client.call(operation, "fold", key.process, *of_run)
    for _ in range(TRIES):
        if answer != "facts":
            break
        time, *added_up = _fold(rest)
        answer, *rest = client.call_at(operation, "fold", key.process, time, *of_run, *added_up)
    if answer == "closed":
        return Settled(bool(page), run_status(key.process, read_run(pairs(rest[0]))))
    return Settled(page_closed=answer == "folded")


def _fold(facts: Any) -> list[Any]:
    """Return the time and the arguments of a fold: the run with its items, and how it ends if it does."""
    time, run, closing, groups, aggregate = facts
    _, state, _, fold, reason, counted, stats, errors, started, *done = run
    counts, summed = add_up(counted, stats, done, groups)
    folded = [time, fold, json.dumps(counts), encode_stats(summed)]
    if not closing:
        return folded
    ends, why = rules.closing(RunState(state), reason, counts["lost"])
    duration = from_us(int(time)) - from_us(int(started))
    final = rules.finish_stats(summed, state=ends, total_errors=int(errors), duration=duration)
    total = rules.sum_stats([decode_stats(aggregate), final])
    return [*folded, state, ends, why, encode_stats(final), encode_stats(total)]


@readable
def open_page(client: Client, key: RunKey, *, token: str, size: int, window: int, rate: float | None) -> Page:
    """Enlist the next names; a page is never empty."""
    pace = ("" if rate is None else repr(float(rate)), COMEBACK // timedelta(microseconds=1))
    while True:
        arguments = (key.epoch, key.id, token_text(token), min(size, CHUNK), window, BUDGET, *pace)
        answer, *rest = client.call("open_page", "open_page", key.process, *arguments)
        if answer == "opened":
            on, names = rest
            return Page(PageAnswer.OPENED, LISTS[on], tuple(names))
        if answer == "later":
            return Page(PageAnswer.LATER, due_in=timedelta(microseconds=int(rest[0])))
        if answer == "ended":
            return Page(PageAnswer.CLOSED, run=fold_if_done(client, "open_page", key).run)
        if answer != "again":
            return Page(PageAnswer(answer))
