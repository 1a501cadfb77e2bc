"""How a run ends early: nothing new starts, what is pending is cancelled page by page, and the end is emitted once."""

from __future__ import annotations

from celery_process.protocol.model import RunStatus
from celery_process.protocol.reports import Settled
from celery_process.protocol.states import StopReason
from celery_process.stores.redis.client import Client
from celery_process.stores.redis.corrupt import readable
from celery_process.stores.redis.keys import RunKey
from celery_process.stores.redis.pages import fold_if_done


@readable
def stop_run(client: Client, key: RunKey, reason: StopReason) -> RunStatus | None:
    """Make an open run ABORTING and cancel what is pending, with SUPERSEDED also what is claimed; return it if closed."""
    stopped = client.call("stop_run", "stop", key.process, key.epoch, key.id, reason)
    if not stopped:
        return None
    stands, pages = stopped
    claimed = int(StopReason.SUPERSEDED in (reason, stands))
    settled = Settled()
    for page in pages:
        if client.call("stop_run", "cancel", key.process, key.epoch, key.id, page, claimed):
            settled |= fold_if_done(client, "stop_run", key, page)
    return settled.run or fold_if_done(client, "stop_run", key).run
