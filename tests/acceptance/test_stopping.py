"""Runs that end before their items do: beyond their tolerance, cancelled, or held up by a pause."""

from __future__ import annotations

from celery_process import RunState

from .waiting import wait_for, wait_for_end

AT_ONCE = 2
"""Items that the one worker has in flight: its children."""


def test_a_run_beyond_its_tolerance_starts_nothing_more(celery_setup, processes, evidence, record_property):
    """The third error of a run that tolerates two aborts it: what waits is cancelled, what is in flight may end."""
    imports = processes["imports"]
    names = [f"feed-{number:03}" for number in range(200)]
    imports.register_works({name: {"broken": name in ("feed-010", "feed-014", "feed-018")} for name in names})
    run = wait_for_end(imports, imports.run_now().id)

    assert (run.state, run.reason) == (RunState.ABORTED, "aborted")
    assert (run.total_errors, run.stats["errors"]) == (3, 3)
    last_error = evidence.ends(item="feed-018")[0].at
    late = [start.item for start in evidence.starts() if start.at > last_error]
    record_property("items started after the last error", len(late))
    assert len(late) <= AT_ONCE
    started = {start.item for start in evidence.starts()}
    assert run.counts.cancelled == len(names) - len(started)
    assert run.counts.enlisted == run.counts.ended == len(names)
    assert evidence.executions() == dict.fromkeys(started, 1)


def test_a_pause_lets_nothing_begin_and_resume_goes_on(celery_setup, processes, evidence, command, folder):
    """`process pause` in mid-run: items in flight finish, no other starts, and no run does; `process resume` goes on."""
    export = processes["export"]
    names = [f"page-{number:02}" for number in range(40)]
    export.register_works({name: {"gate": "open"} if number >= 4 else {} for number, name in enumerate(names)})
    run = export.run_now()
    wait_for(lambda: len(evidence.starts()) == 4 + AT_ONCE, what="items that wait for the file")

    assert command("pause", "export", "--note", "the shop is closed").status == 0
    (folder / "open").touch()
    wait_for(lambda: len(evidence.ends()) == len(evidence.starts()), what="the items in flight")
    before = len(evidence.starts())
    refused = command("run", "export")
    shown = command("show", "export", "--json").json["state"]
    assert len(evidence.starts()) == before < len(names)
    assert (shown["paused"]["note"], shown["run"]["state"]) == ("the shop is closed", "ACTIVE")
    assert refused.status == 1
    assert "resume it first" in refused.err

    assert command("resume", "export").status == 0
    run = wait_for_end(export, run.id)
    assert run.state is RunState.COMPLETED
    assert run.stats["work.exported"] == len(names)
    assert evidence.executions() == dict.fromkeys(names, 1)


def test_a_cancelled_run_is_redriven_for_what_it_left(celery_setup, processes, evidence, command):
    """`process cancel` ends a run INCOMPLETE; `process redrive` runs what did not complete, and nothing twice."""
    mirror = processes["mirror"]
    names = [f"page-{number:02}" for number in range(100)]  # more than are over when the command has begun
    mirror.register_works({name: {"seconds": 0.2} for name in names})
    assert command("run", "mirror").status == 0
    wait_for(lambda: len(evidence.ends()) >= 4, what="the first items")
    assert command("cancel", "mirror").status == 0
    [shown] = command("runs", "mirror", "--json").json
    cancelled = wait_for_end(mirror, shown["id"])
    assert (cancelled.state, cancelled.reason) == (RunState.INCOMPLETE, "cancelled")
    started = {start.item for start in evidence.starts()}
    assert 4 <= len(started) < len(names)
    assert cancelled.counts.completed == len(started)
    assert cancelled.counts.cancelled == len(names) - len(started)
    assert "No run is open" in command("cancel", "mirror").out

    assert command("redrive", "mirror", cancelled.id).status == 0
    redriven = wait_for_end(mirror, mirror.state().run.id)
    assert (redriven.slot, redriven.generation) == (cancelled.slot, cancelled.generation + 1)
    assert (redriven.state, redriven.counts.completed) == (RunState.COMPLETED, len(names) - len(started))
    assert evidence.executions() == dict.fromkeys(names, 1)
