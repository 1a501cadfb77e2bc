"""One run in every view: the store's numbers in the terminal, on Flower's page, in Prometheus and in the admin."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from dataclasses import asdict
from types import ModuleType
from typing import Any

import pytest
from celery.bin.celery import celery
from click.testing import CliRunner
from prometheus_client import CollectorRegistry

from celery_process import Processes
from celery_process.contrib.flower.board import Board
from celery_process.contrib.prometheus import ProcessCollector

from .desk import Site


@pytest.fixture
def terminal(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give what `celery -A … process` prints as JSON."""
    module = ModuleType(f"module_{processes.app.main.replace('-', '_')}")
    module.app = processes.app  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def said(*arguments: str) -> Any:
        done = CliRunner().invoke(celery, ["-A", f"{module.__name__}:app", "process", *arguments, "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.output)

    return said


def test_every_view_has_the_numbers_of_the_store(processes: Processes, boss: Site, terminal: Any) -> None:
    """Items by outcome, errors and state are the same five times, also after a redrive."""
    process = boss.process
    process.register_works({"a": None, "b": None, "c": {"broken": True}, "d": {"broken": True}, "e": {"broken": True}})
    for begin in (process.run_now, lambda: process.redrive(next(iter(process.runs())).id)):
        run = begin()
        wanted = {name: count for name, count in asdict(run.counts).items() if count}
        assert wanted["incomplete"] == run.total_errors == 3

        said = terminal("show", process.name)["state"]["run"]
        assert (said["id"], said["state"], said["total_errors"]) == (run.id, run.state, run.total_errors)
        assert {name: count for name, count in said["counts"].items() if count} == wanted

        page = asyncio.run(Board(processes).one(process.name))
        assert {name: count for name, count in page["run"]["counts"].items() if count} == wanted
        overview = page["overview"]
        assert (overview["state"], overview["errors"], overview["total"]) == (run.state, 3, run.counts.enlisted)

        scraped = CollectorRegistry()
        scraped.register(ProcessCollector(processes))

        def sample(name: str, scraped: CollectorRegistry = scraped, **labels: str) -> float | None:
            return scraped.get_sample_value(f"celery_process_{name}", {"process": process.name, **labels})

        assert {name: sample("run_items", outcome=name) for name in wanted} == wanted
        assert sample("run_errors") == 3
        assert sample("run_state", state=run.state.value.lower()) == 1

        shown = boss.text()
        facts = {
            name.lower(): number for name, number in re.findall(r"<dt>(\w+)</dt>\s*<dd><bdi[^>]*>([\d,]+)</bdi></dd>", shown)
        }
        assert {name: int(facts[name]) for name in wanted} == wanted
        assert run.state.value in shown
