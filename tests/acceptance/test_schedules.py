"""Schedules and settings that change while beats and workers run."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from itertools import pairwise

from .nodes import exit_of, say
from .waiting import closed_runs, wait_for, wait_for_quiet, wait_for_runs

ABSENT = """
import sys
sys.modules["celery_process"] = None  # every import of it fails, as if it was not installed
"""
READ = (
    ABSENT
    + """
import json, shelve
with shelve.open(sys.argv[1], flag="r") as file:
    entries = file["entries"]
entry = entries["prices.schedule"]
print(json.dumps([type(entry.schedule).__module__, type(entry.schedule).__name__, entry.schedule.run_every.total_seconds()]))
"""
)
BEAT = (
    ABSENT
    + """
from celery.bin.celery import main
sys.argv = ["celery", "-b", sys.argv[2], "beat", "-l", "INFO", "-s", sys.argv[1], "--pidfile="]
main()
"""
)


def test_a_running_beat_follows_a_new_schedule(celery_setup, processes, nodes):
    """`update_settings(schedule=…)` takes effect in a running beat: from hourly to every 2 s, without a restart."""
    prices = processes["prices"]
    prices.update_settings(None, schedule=timedelta(hours=1))
    beat = nodes.beat()
    time.sleep(2)
    before = len(closed_runs(prices))
    assert before <= 1  # beat may take the hour that has begun

    assert prices.update_settings(None, schedule=timedelta(seconds=2)) == 2
    found = wait_for_runs(prices, before + 3)[before:]
    slots = [run.slot for run in found]
    assert {later - sooner for sooner, later in pairwise(slots)} == {timedelta(seconds=2)}
    assert all(run.settings_version == 2 for run in found)
    assert beat.logs().count("beat: Starting") == 1


def test_a_schedule_file_outlives_the_package(celery_setup, processes, nodes, folder):
    """What beat wrote down is read without this package: its entries fall back to Celery's own schedule."""
    beat = nodes.beat()
    wait_for_runs(processes["prices"], 1)
    beat.kill("SIGTERM")
    exit_of(beat)
    file = str(folder / "beat-schedule")

    status, (out, err) = celery_setup.worker.container.exec_run(["python", "-c", READ, file], demux=True)
    assert status == 0, err.decode()
    assert json.loads(out) == ["celery.schedules", "schedule", 1.0]

    raw = nodes.run(["python", "-c", BEAT, file, celery_setup.app.conf.broker_url])
    wait_for(lambda: b"beat: Starting" in raw.logs(), what="a beat without the package")
    time.sleep(1.5)
    raw.reload()
    assert raw.status == "running", raw.logs().decode()
    assert b"Traceback" not in raw.logs()


def test_two_versions_of_the_code_agree_on_what_is_stored(celery_setup, processes, nodes, evidence):
    """Where two versions differ in defaults, what `update_settings` stored wins in both, and nothing flaps (B5)."""
    prices = processes["prices"]
    prices.register_works({f"price-{number}": {} for number in range(4)})
    newer = {"CP_TEST_CODE": "2"}
    second = nodes.worker(env=newer)
    defaults = [say(worker, "process", "settings", "prices", "--json").json for worker in (celery_setup.worker, second)]
    assert [(one["schedule"], one["settings"]["step"], one["version"]) for one in defaults] == [(1.0, 1, 0), (2.0, 2, 0)]

    prices.update_settings({"step": 7}, schedule=3)
    beats = [nodes.beat("older"), nodes.beat("newer", env=newer)]
    for count in (1, 2, 3, 4):
        wait_for_runs(prices, count)
        for worker in (celery_setup.worker, second):
            shown = say(worker, "process", "settings", "prices", "--json").json
            assert (shown["schedule"], shown["settings"]["step"], shown["version"]) == (3.0, 7, 1)
    for beat in beats:
        beat.kill()
    found = wait_for_quiet(prices)

    slots = [run.slot for run in found]
    assert {later - sooner for sooner, later in pairwise(slots)} == {timedelta(seconds=3)}
    assert {run.settings_version for run in found} == {1}
    assert {start.params["step"] for start in evidence.starts()} == {7}
    assert all(evidence.executions(run=run.id) == {f"price-{number}": 1 for number in range(4)} for run in found)
