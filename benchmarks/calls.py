"""S9: how often an item meets its store. Counts, not times: the run is eager, in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from celery import Celery

from benchmarks import servers
from benchmarks.figures import Figure, Options, spread
from benchmarks.trips import round_trips
from celery_process import Processes, Store
from celery_process.stores.base import operations
from celery_process.stores.items import Items
from celery_process.stores.reads import Reads
from celery_process.stores.runs import Runs

OPERATIONS = sorted(operations(Runs, Items, Reads))


class Calls:
    """A count of a store's operations."""

    def __init__(self, store: Store) -> None:
        self.operations: Counter[str] = Counter()
        for name in OPERATIONS:
            setattr(store, name, self._counted(name, getattr(store, name)))

    def _counted(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            self.operations[name] += 1
            return operation(*arguments, **more)

        return call


def run_eagerly(store: str, *, number: int, size: int) -> tuple[Calls, int]:
    """Return the calls of a whole run of `number` items, `size` a message, and its round trips."""
    app = Celery("calls", broker="memory://", set_as_current=False)
    app.conf.update(task_always_eager=True, process_backend=store, process_key_prefix=f"calls-{size}:")
    processes = Processes(app)

    @processes.process("counted", schedule=None, batch_size=size)
    def counted(work: Any) -> None:
        work.add_stats("items")

    processes.migrate()
    counted.register_works({f"item-{item:07}": None for item in range(number)})
    calls = Calls(processes.store)
    with round_trips() as trips:
        counted.run_now()
    processes.store.close()
    return calls, trips.number


def store_calls(options: Options) -> list[Figure]:
    """S9: store calls and round trips an item."""
    number = options.size(2_000, 400)
    figures = []
    with servers.redis() as redis:
        for size, goal in ((1, 2.2), (100, 0.05)):
            calls, trips = run_eagerly(f"{redis}/1", number=number, size=size)
            total = sum(calls.operations.values())
            figures.append(spread("S9", f"store calls an item, {size} a message", [total / number], most=goal))
            figures.append(spread("S9", f"round trips an item, {size} a message", [trips / number]))
            for name, count in calls.operations.most_common(3):
                figures.append(spread("S9", f"of these {name}, {size} a message", [count / number]))
    return figures
