"""The command line, `celery -A app process …`, on an eager app."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from celery import Celery, current_app
from celery.bin.celery import celery
from celery.schedules import crontab
from click.testing import CliRunner, Result

from celery_process import Process, Processes, RunState, Work
from celery_process.contrib.commands import process as group
from celery_process.stores.memory import MemoryStore
from celery_process.testing.clock import MovableClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MODULE = "celery_process_command_line"


class Terminal:
    """An app in an importable module, and what it prints."""

    def __init__(self) -> None:
        self.clock = MovableClock(NOON)
        self.app = Celery("shop", broker="memory://", set_as_current=False)
        self.app.conf.task_always_eager = True
        self.processes = Processes(self.app, backend=MemoryStore(clock=self.clock))
        self.module = ModuleType(MODULE)
        self.module.app = self.app  # type: ignore[attr-defined]

    def call(self, *arguments: str) -> Result:
        """Call `celery -A app process` with arguments."""
        return CliRunner().invoke(celery, ["-A", f"{MODULE}:app", "process", *arguments])

    def printed(self, *arguments: str) -> str:
        """Call, and return what a command printed that went well."""
        result = self.call(*arguments)
        assert result.exit_code == 0, result.output
        return result.output

    def json(self, *arguments: str) -> Any:
        """Call with --json, and return the one document that was printed."""
        return json.loads(self.printed(*arguments, "--json"))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """Give a terminal at which ada sits; the current app is as before afterwards."""
    before = current_app._get_current_object()
    made = Terminal()
    monkeypatch.setitem(sys.modules, MODULE, made.module)
    monkeypatch.setenv("USER", "ada")
    yield made
    before.set_current()


@pytest.fixture
def process(terminal: Terminal) -> Process:
    """Give a process of two items, one of which fails while its params say so."""
    return defined(terminal)


def defined(terminal: Terminal) -> Process:
    """Define the process, and register its items."""

    @terminal.processes.process("key-gc", schedule=3600, settings={"ttl": 60})
    def handler(work: Work) -> None:
        work.add_stats("keys", 1_234)
        if work.params.get("bad"):
            raise ValueError("broken")

    handler.register_works({"a": {"x": 1}, "b": {"bad": True}})
    return handler


READS = {
    "list": ("list", "never ran", "2/2", "key-gc"),
    "show": ("show key-gc", "never ran", "2 of 2 items ended, 1 errors", "state work_counts"),
    "show --on": ("show key-gc --on active", "b     NEW", "b     INCOMPLETE", "a b"),
    "work": ("work key-gc b", "NEW, attempt 0", "ValueError: broken", "name on params changed_at listed_at status"),
    "errors": ("errors key-gc", "key-gc never ran", "b     ValueError: broken", "run state total_errors errors"),
    "runs": ("runs key-gc", "RUN  SLOT", "COMPLETED    2/2", "key-gc"),
    "slots": ("slots key-gc", "SLOT  AFTER", "run_now", "ran"),
    "settings": ("settings key-gc", "ttl = 60", "ttl = 60", "settings schedule version"),
    "settings --history": ("settings key-gc --history", "VERSION  STORED", "VERSION  STORED", ""),
    "doctor": ("doctor", "No slot of key-gc has come yet", "The last slot of key-gc was", "ok findings"),
}
"""Arguments, text before a run and after one, and the document's keys, or the ends, processes or names of a list."""


@pytest.mark.parametrize("command", READS)
@pytest.mark.parametrize("ran", [False, True])
def test_what_reads_prints_text_and_json(terminal: Terminal, command: str, ran: bool) -> None:
    """Each reading command prints lines for people and one JSON document with --json, before a run and after one."""
    terminal.clock.set(datetime.now(UTC))  # before the items are registered, since when beat owes their slots
    process = defined(terminal)
    line, *texts, has = READS[command]
    if ran:
        process.run_now()
    assert texts[ran] in terminal.printed(*line.split())
    document = terminal.json(*line.split())
    if isinstance(document, list):
        has = has if ran or command in ("list", "show --on") else ""
        document = {row.get("end") or row.get("process") or row["name"] for row in document}
    assert set(document) == set(has.split())


def test_list(terminal: Terminal, process: Process) -> None:
    """`list` shows each process with its schedule and its run."""
    assert "never ran" in terminal.printed("list")
    run = process.run_now()
    printed = terminal.printed("list")
    assert "key-gc" in printed
    assert "every 1h" in printed
    assert "COMPLETED" in printed
    (state,) = terminal.json("list")
    assert (state["name"], state["schedule_frequency"], state["run"]["id"]) == ("key-gc", 3600, run.id)
    assert state["run"]["slot"] == "2026-03-02T12:00:00+00:00"


def test_show(terminal: Terminal, process: Process) -> None:
    """`show` tells the run, its errors, settings and totals, and how many items are on each list."""
    process.run_now()
    process.unregister_work("a")
    process.pause("lunch", by="bob")
    printed = terminal.printed("show", "key-gc")
    for words in ("by bob: lunch", '{"ttl": 60}', "1 active, 1 cleanup", "work.keys 2,468", "b: ValueError: broken"):
        assert words in printed
    document = terminal.json("show", "key-gc")
    assert document["work_counts"] == {"active": 1, "cleanup": 1, "dropped": 0}
    assert document["state"]["paused"]["note"] == "lunch"


def test_show_items(terminal: Terminal, process: Process) -> None:
    """`show --on` lists items up to a limit, `work` tells one with its errors."""
    process.run_now()
    assert [info["name"] for info in terminal.json("show", "key-gc", "--on", "active")] == ["a", "b"]
    assert [info["name"] for info in terminal.json("show", "key-gc", "--on", "active", "-n", "1")] == ["a"]
    assert "INCOMPLETE" in terminal.printed("show", "key-gc", "--on", "active")
    assert "ValueError: broken" in terminal.printed("work", "key-gc", "b")
    info = terminal.json("work", "key-gc", "b")
    assert (info["on"], info["params"], info["status"]["state"]) == ("active", {"bad": True}, "INCOMPLETE")


def test_runs_and_slots(terminal: Terminal, process: Process) -> None:
    """`runs` and `slots` are newest first, up to a limit, and say who began it."""
    for _ in range(3):
        process.run_now()
        terminal.clock.advance(timedelta(hours=1))
    terminal.printed("run", "key-gc")
    runs = terminal.json("runs", "key-gc")
    epochs = [run["epoch"] for run in runs]
    assert (len(epochs), epochs) == (4, sorted(epochs, reverse=True))
    assert [run["epoch"] for run in terminal.json("runs", "key-gc", "-n", "2")] == epochs[:2]
    slots = terminal.json("slots", "key-gc")
    assert [(slot["end"], slot["by"]) for slot in slots] == [("ran", "cli:ada")] + [("ran", "run_now")] * 3
    assert "cli:ada" in terminal.printed("slots", "key-gc", "-n", "1")


def test_run(terminal: Terminal, process: Process) -> None:
    """`run` runs the present slot, or a past one that is named."""
    assert "COMPLETED" in terminal.printed("run", "key-gc")
    assert "generation 1" in terminal.printed("run", "key-gc")
    terminal.printed("run", "key-gc", "--slot", "2026-01-31T12:00:00Z")
    terminal.printed("run", "key-gc", "--slot", "2026-01-30T12:00:00")
    slots = [run.slot for run in process.runs()]
    assert slots[:2] == [datetime(2026, 1, 30, 12, tzinfo=UTC), datetime(2026, 1, 31, 12, tzinfo=UTC)]


def test_pause_and_resume(terminal: Terminal, process: Process) -> None:
    """`pause` notes why and who; `resume` ends it."""
    assert terminal.printed("pause", "key-gc", "--note", "lunch") == "key-gc: Paused: lunch\n"
    paused = process.state().paused
    assert paused is not None
    assert (paused.note, paused.by) == ("lunch", "cli:ada")
    assert terminal.printed("resume", "key-gc") == "key-gc: Resumed\n"
    assert process.state().paused is None


def test_cancel(terminal: Terminal) -> None:
    """`cancel` stops the open run; without one it says so."""
    printed: list[str] = []

    @terminal.processes.process("slow", schedule=None)
    def handler(work: Work) -> None:
        printed.append(terminal.printed("cancel", "slow"))

    assert terminal.printed("cancel", "slow") == "slow: No run is open; there was nothing to cancel.\n"
    handler.register_works(dict.fromkeys("ab"))
    run = handler.run_now()
    assert (run.state, len(printed)) == (RunState.INCOMPLETE, 1)
    assert run.id in printed[0]


def test_redrive(terminal: Terminal, process: Process) -> None:
    """`redrive` runs what did not complete, and that only."""
    run = process.run_now()
    terminal.printed("register", "key-gc", "b", "--params", '{"bad": false}')
    terminal.printed("redrive", "key-gc", run.id)
    newest = next(process.runs())
    assert (newest.slot, newest.generation, newest.counts.completed) == (run.slot, 1, 1)


def test_register_and_unregister(terminal: Terminal, process: Process) -> None:
    """`register` and `unregister` take several items, and count those that changed."""
    assert terminal.printed("register", "key-gc", "c", "d", "--params", '{"y": 2}').startswith(
        "key-gc: Registered 2 of 2: c, d"
    )
    assert terminal.printed("register", "key-gc", "c", "--params", '{"y": 2}').startswith("key-gc: They are registered")
    assert process.work("d").params == {"y": 2}
    assert terminal.printed("unregister", "key-gc", "c", "d", "never").startswith("key-gc: Unregistered 3 of 3: c, d, never")
    assert [work.name for work in process.works("cleanup")] == ["c", "d", "never"]


def test_settings(terminal: Terminal, process: Process) -> None:
    """`settings` shows what is in force, and stores settings and schedule, seconds or five fields."""
    assert terminal.json("settings", "key-gc") == {"settings": {"ttl": 60}, "schedule": 3600, "version": 0}
    stored = terminal.json("settings", "key-gc", "--set", '{"ttl": 5}', "--schedule", "90", "--expected-version", "0")
    assert stored == {"settings": {"ttl": 5}, "schedule": 90, "version": 1}
    printed = terminal.printed("settings", "key-gc", "--schedule", "*/10 2 * * *")
    assert "schedule crontab */10 2 * * *" in printed
    assert "ttl = 5" in printed
    assert terminal.json("settings", "key-gc", "--set", "{}")["settings"] == {"ttl": 60}
    assert terminal.processes.store.overrides("key-gc").by == "cli:ada"


def test_settings_history(terminal: Terminal, process: Process) -> None:
    """`settings --history` shows who stored what, newest first, up to a limit; what was just stored is among it."""
    terminal.printed("settings", "key-gc", "--set", '{"ttl": 5}')
    process.update_settings(None, schedule=crontab(minute=30), by="bob")
    found = terminal.json("settings", "key-gc", "--history", "--set", '{"ttl": 6}')
    assert [(old["version"], old["settings"], old["schedule_frequency"], old["by"]) for old in found] == [
        (3, {"ttl": 6}, "crontab 30 * * * *", "cli:ada"),
        (2, {"ttl": 5}, "crontab 30 * * * *", "bob"),
        (1, {"ttl": 5}, None, "cli:ada"),
    ]
    assert found[0]["changed_at"] == NOON.isoformat()
    printed = terminal.printed("settings", "key-gc", "--history", "-n", "2").splitlines()
    assert [line.split()[0] for line in printed] == ["VERSION", "3", "2"]
    assert '{"ttl": 6}' in printed[1]


def test_limits(terminal: Terminal, process: Process) -> None:
    """`limits` shows what is in force and stores new ones; `show` tells of them; `--reset` goes back to the code's."""
    assert terminal.printed("limits", "key-gc") == "key-gc: 1,000 in flight, no rate limit\n"
    printed = terminal.printed("limits", "key-gc", "--max-in-flight", "20", "--rate-limit", "10/m")
    assert printed == "key-gc: 20 in flight, 10/m, stored 2026-03-02 12:00:00Z by cli:ada\n"
    assert "20 in flight, 10/m" in terminal.printed("show", "key-gc")
    stored = terminal.json("limits", "key-gc", "--rate-limit", "5")
    assert (stored["max_in_flight"], stored["rate_limit"]) == (20, "5/s")
    assert "7 in flight, no rate limit" in terminal.printed("limits", "key-gc", "--reset", "--max-in-flight", "7")
    assert terminal.json("limits", "key-gc", "--reset") == {"max_in_flight": 1000, "rate_limit": None, "at": None, "by": ""}
    refused = terminal.call("limits", "key-gc", "--rate-limit", "often")
    assert refused.exit_code == 1
    assert "10/m" in refused.output


def test_sweep_and_migrate(terminal: Terminal, process: Process) -> None:
    """`sweep` names what it looked at, `migrate` what it did."""
    assert terminal.printed("sweep") == "nothing to repair, or a sweep has just passed\n"
    process.run_now()
    assert terminal.printed("sweep", "--force") == "swept key-gc\n"
    assert terminal.printed("migrate") == "nothing to do\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "key-cg"],
        ["work", "key-gc", "nobody"],
        ["errors", "key-gc", "1-nope"],
        ["watch", "key-cg"],
        ["run", "key-cg"],
        ["run", "key-gc", "--slot", "noon"],
        ["run", "key-gc", "--slot", "2999-01-01"],
        ["pause", "key-gc", "--note", "x" * 1_001],
        ["redrive", "key-gc", "1-nope"],
        ["register", "key-gc", "a\nb"],
        ["register", "key-gc", "a", "--params", "{"],
        ["register", "key-gc", "a", "--params", "[1]"],
        ["unregister", "key-gc", ""],
        ["settings", "key-gc", "--set", "ttl=5"],
        ["settings", "key-gc", "--set", "[1]"],
        ["settings", "key-gc", "--schedule", "often"],
        ["settings", "key-gc", "--schedule", "0"],
        ["settings", "key-gc", "--schedule", "61 * * * *"],
        ["settings", "key-gc", "--set", "{}", "--schedule", "60", "--expected-version", "9"],
    ],
)
def test_errors_are_one_line(terminal: Terminal, process: Process, arguments: list[str]) -> None:
    """What is wrong is told in one line on standard error that ends with what to do; the exit status is 1."""
    result = terminal.call(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ")
    assert result.stderr.endswith(".\n")
    assert result.stderr.count("\n") == 1
    assert process.state().settings_version == 0


def test_an_app_without_processes(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    """An app that has no registry is told how to get one."""
    terminal.module.app = Celery("plain", set_as_current=False)  # type: ignore[attr-defined]
    result = terminal.call("list")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "Processes(app)" in result.stderr


def test_a_store_that_is_not_there(terminal: Terminal) -> None:
    """A URL that leads nowhere is one line as well."""
    app = Celery("lost", set_as_current=False)
    processes = Processes(app, backend="nope://ada:s3cr3t@host")
    processes.process("key-gc", schedule=60)(lambda work: None)
    terminal.module.app = app  # type: ignore[attr-defined]
    result = terminal.call("list")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "s3cr3t" not in result.output


@pytest.mark.parametrize("command", sorted(group.commands))
def test_each_command_has_help(terminal: Terminal, command: str) -> None:
    """Each command says in its help what it does."""
    assert terminal.printed(command, "--help").startswith("Usage: ")
    assert group.commands[command].help


def test_a_process_that_is_not_in_the_code(terminal: Terminal, process: Process) -> None:
    """`list` marks it, `show` says what the store has of it, and `cancel` ends its run."""
    worker = Celery("old", broker="memory://", set_as_current=False)
    old = Processes(worker, backend=terminal.processes.store).process("gone", schedule=None)(lambda work: None)
    old.register_work("a")
    run = old.run_now()
    old.dispatch.store.claim("gone", run.id, ["a"], token="t", lease=timedelta(seconds=30), max_attempts=1)
    (line,) = [line for line in terminal.printed("list").splitlines() if line.startswith("gone")]
    assert "not in this code  ACTIVE" in line
    assert terminal.json("list")[-1]["defined"] is False
    assert run.id in terminal.printed("show", "gone")
    assert "1 items are claimed" in terminal.printed("cancel", "gone")
    terminal.clock.advance(timedelta(seconds=30))
    assert "INCOMPLETE" in terminal.printed("cancel", "gone")
    assert "import the module that does" in terminal.call("cancel", "gone").output
