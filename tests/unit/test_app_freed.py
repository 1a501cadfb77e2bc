"""Apps that are made and dropped, as test suites do."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from celery_process import Processes, shared, shared_process
from celery_process.app import registries, registry_of
from celery_process.stores.memory import MemoryStore


def used(backend: Any) -> tuple[weakref.ref[Any], ...]:
    """Make an app, run a process in it, and return what must not keep itself alive."""
    app = Celery("dropped", set_as_current=False)
    app.conf.task_always_eager = True
    processes = Processes(app, backend=backend)
    process = processes.process("key-gc", schedule=60)(lambda work: None)
    app.finalize()
    process.register_work("a")
    assert process.run_now().state.value == "COMPLETED"
    assert registry_of(app) is processes
    store = processes.store
    store.close()
    return tuple(map(weakref.ref, (app, processes, process, store)))


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_an_app_that_was_used_is_freed(kind: str, tmp_path: Path) -> None:
    """Nothing of an app with processes is left when nobody has it any more."""
    made = used(MemoryStore() if kind == "memory" else f"sqlite:///{tmp_path}/store.db")
    gc.collect()
    assert [reference() for reference in made] == [None] * 4
    assert "dropped" not in [registry.app.main for registry in registries()]


def test_a_registry_lives_as_long_as_its_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever keeps the app alone has its processes too, and gets those that are shared later."""
    monkeypatch.setattr(shared, "_pending", [])
    app = Celery("kept", set_as_current=False)
    Processes(app, backend=MemoryStore()).process("key-gc", schedule=60)(lambda work: None)
    gc.collect()
    shared_process("shared-later", schedule=60)(lambda work: None)
    registry = registry_of(app)
    assert registry is not None
    assert [process.name for process in registry] == ["key-gc", "shared-later"]
