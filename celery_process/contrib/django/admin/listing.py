"""A page of work items: read by the store in order of name, without a count and without an offset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from celery_process.checks import check_work_name
from celery_process.exceptions import WorkNotFound
from celery_process.process import Process
from celery_process.protocol.model import WorkInfo
from celery_process.protocol.states import WorkList, WorkState

PAGE = 100
MAX_READ = 5_000
"""The most items that one page reads to find those in a state; the next page continues after them."""
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Listing:
    """Items of a list. `after`: the name after which the next page begins, empty at the end of the list.

    `read_count`: how many items were read for the page. `cut`: items not yet read may be in this state too.
    """

    works: tuple[WorkInfo, ...]
    after: str
    read_count: int
    cut: bool


def listing(
    process: Process,
    *,
    on: WorkList = WorkList.ACTIVE,
    state: WorkState | None = None,
    beginning: str = "",
    after: str = "",
    page: int = PAGE,
    most: int = MAX_READ,
) -> Listing:
    """Return items of a list, in one state if it is passed, whose names begin with a text and come after another name.

    Names compare by code point. Raises `InvalidValue` for a text that no name can hold.
    """
    for text in filter(None, (beginning, after)):
        check_work_name(text)
    found: list[WorkInfo] = []
    read_count, last = 0, after
    for info in _walk(process, on, beginning, after, page + 1 if state is None else CHUNK):
        if len(found) == page:
            return Listing(tuple(found), last, read_count, cut=False)
        if read_count == most:
            return Listing(tuple(found), last, read_count, cut=True)
        read_count, last = read_count + 1, info.name
        if state is None or info.status.state is state:
            found.append(info)
    return Listing(tuple(found), "", read_count, cut=False)


def _walk(process: Process, on: WorkList, beginning: str, after: str, chunk: int) -> Iterator[WorkInfo]:
    store = process.store
    if beginning > after:
        with suppress(WorkNotFound):
            exact = store.work(process.name, beginning)
            if exact.on is on:
                yield exact
        after = beginning
    while found := store.works(process.name, on=on, after=after, limit=chunk):
        for info in found:
            if not info.name.startswith(beginning):
                return
            yield info
        if len(found) < chunk:
            return
        after = found[-1].name
