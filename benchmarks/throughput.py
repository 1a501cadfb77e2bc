"""S1 to S3: items a second beside `group`, `chord` and `chunks`, round by round in the same worker on the same broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack

import click

from benchmarks import servers
from benchmarks.figures import Figure, Options, spread
from benchmarks.workers import Bench, bench

BATCH = 100
PATIENCE = 900.0
PAGE = 5_000


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise click.ClickException(f"Not done after {PATIENCE:g} s.")
        time.sleep(0.01)


def _timed(act: Callable[[], Callable[[], bool]], number: int) -> float:
    begin = time.perf_counter()
    _until(act())
    return number / (time.perf_counter() - begin)


def _counted(at: Bench, more: int) -> Callable[[], bool]:
    goal = at.done() + more
    return lambda: at.done() >= goal


def group(at: Bench, number: int) -> float:
    """Return items a second of a `group` with results ignored, from the call until the last one ran."""

    def act() -> Callable[[], bool]:
        done = _counted(at, number)
        from celery import group as group_of  # noqa: PLC0415 - named like the function

        group_of([at.app.noop.s(item) for item in range(number)]).apply_async()
        return done

    return _timed(act, number)


def chord(at: Bench, number: int) -> float:
    """Return header tasks a second of a `chord`, from the call until its body ran."""

    def act() -> Callable[[], bool]:
        from celery import chord as chord_of  # noqa: PLC0415

        done = _counted(at, 1)
        chord_of([at.app.kept.s(item) for item in range(number)])(at.app.body.s())
        return done

    return _timed(act, number)


def chunks(at: Bench, number: int) -> float:
    """Return items a second of `chunks` of 100 with results ignored."""

    def act() -> Callable[[], bool]:
        done = _counted(at, number)
        at.app.noop.chunks(((item,) for item in range(number)), BATCH).apply_async()
        return done

    return _timed(act, number)


def register(at: Bench, process: str, number: int) -> None:
    """Have exactly the first `number` names on the active list of a process."""
    names = [f"item-{item:07}" for item in range(number)]
    for first in range(0, number, PAGE):
        at.app.processes[process].register_works(dict.fromkeys(names[first : first + PAGE]))


def run(at: Bench, process: str, number: int) -> float:
    """Return items a second of a run, from `run_now` until it is closed with every item completed."""
    found = at.app.processes[process]
    worked = _counted(at, number)
    begin = time.perf_counter()
    started = found.run_now()
    store = at.app.processes.store
    _until(worked)  # the others are waited for in this way, too, and a read of an open run costs the server something
    _until(lambda: store.run(process, started.id).finished_at is not None)
    took = time.perf_counter() - begin
    ended = store.run(process, started.id)
    if ended.counts.completed != number:
        raise click.ClickException(f"{ended.counts} instead of {number} completed items.")
    return number / took


def _compare(
    measure: str,
    options: Options,
    *,
    store: str,
    process: str,
    ways: Mapping[str, tuple[Callable[[Bench, int], float], float | None]],
) -> list[Figure]:
    number = options.size({"S1": 10_000}.get(measure, 100_000), 500)
    # A chord of as many items takes minutes and its rate does not rise with them.
    sizes = {"chord": min(number, 10_000)}
    rounds = 1 if options.quick else options.rounds
    rates: dict[str, list[float]] = {way: [] for way in (*ways, "process")}
    with ExitStack() as stack:
        redis = stack.enter_context(servers.redis())
        url = options.store or (stack.enter_context(servers.postgresql()) if store == "postgresql" else f"{redis}/1")
        broker = options.broker or f"{redis}/0"
        at = stack.enter_context(bench(broker=broker, store=url, results=f"{redis}/2"))
        register(at, process, number)
        group(at, 100)  # connections and imports of the children
        for _ in range(rounds):
            for way, (measured, _goal) in ways.items():
                rates[way].append(measured(at, sizes.get(way, number)))
            rates["process"].append(run(at, process, number))
    figures = [spread(measure, f"{way}, {sizes.get(way, number):,} items", rates[way], unit="items/s") for way in rates]
    for way, (_, goal) in ways.items():
        ratios = [ours / theirs for ours, theirs in zip(rates["process"], rates[way], strict=True)]
        figures.append(spread(measure, f"process : {way}", ratios, unit="×", least=goal))
    return figures


def one_a_message(options: Options) -> list[Figure]:
    """S1: one item a message."""
    ways = {"group": (group, 1.0), "chord": (chord, 1.5)}
    return _compare("S1", options, store="redis", process="one", ways=ways)


def hundred_a_message(options: Options) -> list[Figure]:
    """S2: a hundred items a message, store on Redis."""
    ways = {"chunks": (chunks, 0.5), "chord": (chord, 30.0)}
    return _compare("S2", options, store="redis", process="batch", ways=ways)


def hundred_on_postgresql(options: Options) -> list[Figure]:
    """S3: a hundred items a message, store on PostgreSQL."""
    return _compare("S3", options, store="postgresql", process="batch", ways={"chunks": (chunks, 0.25)})
