"""Plain Flower, which knows nothing of processes: what its list of tasks says is what the store says."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from celery_process import RunState, WorkState

from .waiting import wait_for, wait_for_end
from .watching import Stage

READY = {"SUCCESS", "FAILURE", "REVOKED"}
USER = "ann:pw"


@pytest.fixture(scope="module")
def stage(tmp_path_factory, redis_url):
    return Stage(tmp_path_factory.mktemp("watched"), redis_url)


@pytest.fixture(scope="module")
def processes(stage):
    registry = stage.processes()
    yield registry
    registry.store.close()


@pytest.fixture(scope="module")
def flower(stage, processes):
    with stage.flower(user=USER) as flower, stage.worker():
        # Flower asks workers for their events, and has nothing to show before; the first is the sweep's.
        wait_for(flower.tasks, what="events", every=0.5)
        yield flower


def triggered(processes, name):
    """Trigger a process by its scheduling task, as beat does, until a slot is free; return the id of the run."""
    before = {run.id for run in processes[name].runs()}

    def begun():
        processes.app.send_task(f"{name}.schedule")
        time.sleep(0.5)
        return next((run.id for run in processes[name].runs() if run.id not in before), None)

    return wait_for(begun, what=f"a run of {name}", every=0.7)


def tasks_of(flower, run, count):
    """Return the tasks of a run once Flower knows the end of so many."""

    def all_ended():
        found = flower.tasks(search=f"kwargs:run={run.id}")
        return found if len(found) == count and {task["state"] for task in found} <= READY else None

    return wait_for(all_ended, what=f"{count} tasks of {run.id}", every=0.3)


def test_each_task_ends_as_the_store_says(flower, processes):
    """Name, item and state of a task are those of process and item; a failed one has the item's error."""
    checks = processes["checks"]
    checks.register_works(
        {"good": None, "<script>alert(1)</script>": None, "tolerated": {"errors": 1}, "raises": {"broken": True}}
    )
    run = wait_for_end(checks, triggered(processes, "checks"))
    ended = {info.name: info.status.state for info in checks.works()}
    tasks = tasks_of(flower, run, run.counts.enlisted)

    for task in tasks:
        kwargs = eval(task["kwargs"])
        assert (task["name"], kwargs["process"], kwargs["run"]) == ("checks.work", "checks", run.id)
        assert (task["state"] == "SUCCESS") is (ended[kwargs["work"]] is WorkState.COMPLETED)
        if task["state"] == "FAILURE":
            assert "raises is broken" in task["exception"]
        else:
            assert eval(task["result"]) == (
                "COMPLETED, 1 tolerated errors" if kwargs["work"] == "tolerated" else "COMPLETED"
            )
    states = Counter(task["state"] for task in tasks)
    assert (states["SUCCESS"], states["FAILURE"]) == (run.counts.completed, run.counts.incomplete) == (3, 1)

    [(root, parent)] = {(task["root_id"], task["parent_id"]) for task in tasks}
    info = flower.ask(f"/api/task/info/{root}").json
    assert parent == root
    assert set(info["children"]) == {task["uuid"] for task in tasks}
    assert (info["name"], info["state"], eval(info["result"])) == ("checks.schedule", "SUCCESS", f"claimed {run.id}")


def test_the_same_run_has_the_same_numbers_everywhere(flower, stage, processes):
    """Flower's tasks, the page of the process, its API and the command line agree on one run."""
    checks = processes["checks"]
    run_id = triggered(processes, "checks")
    run = wait_for_end(checks, run_id)
    tasks = Counter(task["state"] for task in tasks_of(flower, run, run.counts.enlisted))

    told = {"completed": tasks["SUCCESS"], "incomplete": tasks["FAILURE"], "aborted": 0, "cancelled": tasks["REVOKED"]}
    said = stage.say("show", "checks", "--json")["state"]["run"]
    wait_for(lambda: flower.ask("/api/processes/checks").json["run"] == said, what="the page", every=0.5)
    for counts in (said["counts"], flower.ask("/processes/checks?json=1").json["run"]["counts"]):
        assert {name: counts[name] for name in told} == told
    assert said["id"] == run_id
    assert sum(told.values()) == run.counts.enlisted > 0


def test_a_run_beyond_its_tolerance_shows_what_failed_and_what_was_never_worked(flower, processes):
    """A handler that swallows Abort leaves a FAILURE with the error; cancelled items are REVOKED, not SUCCESS."""
    feeds = processes["feeds"]
    items = {f"item-{number:02}": {"seconds": 0.05} for number in range(40)}
    feeds.register_works({"a-over": {"errors": 3, "seconds": 0.3}, **items})
    run = wait_for_end(feeds, feeds.run_now().id)
    tasks = tasks_of(flower, run, run.counts.enlisted)

    assert run.state is RunState.ABORTED
    assert run.counts.cancelled > 0
    assert Counter(task["state"] for task in tasks) == +Counter(
        SUCCESS=run.counts.completed, FAILURE=run.counts.aborted, REVOKED=run.counts.cancelled
    )
    [over] = [task for task in tasks if task["state"] == "FAILURE"]
    assert "'a-over' ended ABORTED after 3 errors, the last one: error 3 of a-over" in over["exception"]
    assert len({task["root_id"] for task in tasks}) == 1  # of its own first item, where no task began the run
    assert feeds.work("a-over").status.state is WorkState.ABORTED


def test_a_batch_is_one_task(flower, processes):
    """With a batch size Flower sees a task a batch, which fails where an item of it does, and names it."""
    bulk = processes["bulk"]
    names = [f"item-{number:04}" for number in range(200)]
    bulk.register_works({**dict.fromkeys(names), "item-0007": {"broken": True}})
    run = wait_for_end(bulk, triggered(processes, "bulk"))
    tasks = tasks_of(flower, run, 200 // 25)

    assert run.counts.completed == 199
    [failed] = [task for task in tasks if task["state"] == "FAILURE"]
    assert "1 of 25 items did not complete: 'item-0007' ended INCOMPLETE" in failed["exception"]
    assert {eval(task["result"]) for task in tasks if task is not failed} == {"25 COMPLETED"}
    assert len({task["root_id"] for task in tasks}) == 1


def test_items_may_send_no_events(flower, processes):
    """With send_events=False in task_options Flower hears of the scheduling task alone."""
    quiet = processes["quiet"]
    quiet.register_works(dict.fromkeys(f"item-{number}" for number in range(20)))
    run = wait_for_end(quiet, triggered(processes, "quiet"))
    told = f"claimed {run.id}"
    wait_for(lambda: told in str(flower.tasks(taskname="quiet.schedule")), what="the scheduling task")
    assert run.counts.completed == 20
    assert flower.tasks(taskname="quiet.work") == []
