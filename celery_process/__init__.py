"""Recurring work for Celery: named processes over a registry of work items, one run a slot, one task an item.

app = Celery("shop", broker="redis://localhost/0")
processes = Processes(app, backend="postgresql+psycopg://localhost/shop")

@processes.process("key-gc", schedule=timedelta(hours=1), settings={"key_ttl": 86_400})
def collect_keys(work): ...

collect_keys.register_work("project-42")
"""

from __future__ import annotations

from celery_process import exceptions, signals
from celery_process.app import Processes
from celery_process.engine.work import Work
from celery_process.engine.worker import Worker
from celery_process.exceptions import ProcessError
from celery_process.process import Process
from celery_process.protocol.states import ErrorAction, Progress, RunState, WorkState
from celery_process.protocol.tolerance import Tolerance
from celery_process.shared import shared_process
from celery_process.stores.base import Store

__all__ = [
    "ErrorAction",
    "Process",
    "ProcessError",
    "Processes",
    "Progress",
    "RunState",
    "Store",
    "Tolerance",
    "Work",
    "WorkState",
    "Worker",
    "exceptions",
    "shared_process",
    "signals",
]
