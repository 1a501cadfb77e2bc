"""A run that began though the answer to its claim was lost goes on as any other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from celery_process.config import Config
from celery_process.definition.options import define
from celery_process.engine.dispatch import Dispatch
from celery_process.protocol.model import RunClaim
from celery_process.protocol.states import Event, RunAnswer, StopReason
from celery_process.schedule.frequency import frequency
from celery_process.stores.memory import MemoryStore
from tests.ports import LoosePort


class Deaf(MemoryStore):
    """Loses the first answer to each claim of a run and to each redrive, and asks once more, as the retries of a store do."""

    def claim_run(self, *args: Any, **named: Any) -> RunClaim:
        super().claim_run(*args, **named)
        return super().claim_run(*args, **named)

    def redrive(self, *args: Any, **named: Any) -> RunClaim:
        super().redrive(*args, **named)
        return super().redrive(*args, **named)


@pytest.mark.parametrize("how", ["trigger", "run_now", "redrive"])
def test_goes_on(how: str) -> None:
    """Its start is told, and its first page is published."""
    store, sent, told = Deaf(), [], []
    store.register("p", {"a": "{}"})
    schedule = frequency(60, minimum=timedelta(seconds=1))
    dispatch = Dispatch(
        definition=define("p", lambda work: None, {"schedule": 60}),
        store=store,
        config=Config(),
        port=LoosePort(
            schedule=schedule,
            send=lambda on, names, run_id, *, single: sent.append(names),
            emit=lambda event, **payload: told.append(event),
        ),
    )
    if how == "trigger":
        assert dispatch.trigger(by="beat").answer is RunAnswer.ALREADY
    else:
        run = dispatch.run_now(slot=None, by="")
        if how == "redrive":
            store.stop_run("p", run.id, StopReason.CANCELLED)
            sent.clear()
            told.clear()
            dispatch.redrive(run.id, by="")
    assert sent == [("a",)]
    assert told.count(Event.RUN_STARTED) == 1
