"""A process as the document that the Go package `process` keeps and serves: its message `Process` in proto JSON.

Keys are in camelCase, instants RFC 3339, durations seconds with an `s`, whole numbers of 64 bits texts; what is empty is
left out (B6, B36–B39). Params and settings there are two maps, of whole numbers and of texts: a value that is neither
is a text of JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from celery_process import slots
from celery_process.model import ErrorEntry, RunStatus, WorkInfo, WorkStatus
from celery_process.process import Process
from celery_process.states import RunState, WorkList

Json = dict[str, Any]


def document(process: Process, *, limit: int) -> tuple[Json, frozenset[WorkList]]:
    """Return the document, with the first `limit` items of each list, and the lists that have more."""
    state, current = process.state(), process.dispatch.current()
    works = {on: list(islice(process.works(on), limit + 1)) for on in WorkList}
    longer = frozenset(on for on, found in works.items() if len(found) > limit)
    shown = {on: found[:limit] for on, found in works.items()}
    run = state.run
    made = {
        "processName": state.name,
        "instance": "" if run is None else run.id,
        "scheduleFrequency": None if current is None else _duration(slots.period(current.occurrences, datetime.now(UTC))),
        "activeWork": {work.name: _work(work) for work in shown[WorkList.ACTIVE]},
        "cleanupWork": {work.name: _instant(work.listed_at) for work in shown[WorkList.CLEANUP]},
        "droppedWork": {work.name: _instant(work.listed_at) for work in shown[WorkList.DROPPED]},
        "settings": _params(state.settings),
        "settingsTime": _instant(process.dispatch.store.overrides(state.name).changed_at),
        "processStatus": None if run is None else _run(run),
        "aggregateStats": dict(state.aggregate_stats),
    }
    return _filled(made), longer


def _work(work: WorkInfo) -> Json:
    return _filled(
        {
            "modified": _instant(work.changed_at),
            "params": _params(work.params),
            "status": _status(work.status, work.status.state),
        }
    )


def _run(run: RunStatus) -> Json:
    # The original has no word for a run that is coming to its end.
    state = RunState.ACTIVE if run.state is RunState.ABORTING else run.state
    return _filled({**_status(run, state), "progressTime": _instant(run.progress_at)})


def _status(status: RunStatus | WorkStatus, state: str) -> Json:
    return _filled(
        {
            "startTime": _instant(status.started_at),
            "finishTime": _instant(status.finished_at),
            "lastErrorTime": _instant(status.last_error_at),
            "stats": dict(status.stats),
            "errors": _errors(status.errors),
            "totalErrors": str(status.total_errors) if status.total_errors else None,
            "state": str(state),
        }
    )


def _errors(errors: Iterable[ErrorEntry]) -> list[Json]:
    return [_filled({"time": _instant(error.at), "text": error.text}) for error in errors]


def _params(params: Mapping[str, Any]) -> Json:
    numbers, texts = {}, {}
    for name, value in params.items():
        if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
            numbers[name] = str(value)
        else:
            texts[name] = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return _filled({"intParams": numbers, "stringParams": texts})


def _filled(made: Json) -> Json:
    return {key: value for key, value in made.items() if value not in (None, "", [], {})}


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _duration(duration: timedelta) -> str:
    whole, part = divmod(duration, timedelta(seconds=1))
    return f"{whole}.{part.microseconds:06d}s" if part else f"{whole}s"
