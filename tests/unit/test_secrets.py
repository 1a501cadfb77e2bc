"""Who sees what of a process, and whether it is masked: the cells of the table that no server is needed for."""

from __future__ import annotations

import json
import logging
import os
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from celery import Celery, current_app
from celery.bin.celery import celery
from celery.schedules import crontab
from click.testing import CliRunner, Result
from wcwidth import wcswidth

from celery_process import Processes
from celery_process.cli.base import current_user
from celery_process.exceptions import ProcessPaused
from celery_process.monitor.health import document, examine
from celery_process.monitor.secrets import TABLE, Fact, Reader
from celery_process.stores.memory import MemoryStore
from celery_process.text.masking import MASK

PAGE = Path(__file__).parents[2] / "docs" / "secrets.md"
MODULE = "celery_process_readers"
ADMITTED = {
    Reader.ADMIN: "staff with the permission named",
    Reader.JSON: "users with `view_process` and the permission named",
    Reader.FLOWER_PAGE: "Flower's login; without one whoever opens the page, not other sites and not other programs",
    Reader.FLOWER_API: "Flower's login, or FLOWER_UNAUTHENTICATED_API",
    Reader.CLI: "who has the store's URL; `--reveal` shows all as it is",
    Reader.EXPORT: "who has the store's URL; a backup, so nothing is masked, and it says so",
    Reader.HEALTH: "everybody: `ok` alone; users with `view_process`, Flower's login: the findings",
    Reader.METRICS: "who may scrape",
    Reader.EVENTS: "who has the broker's URL",
    Reader.LOGS: "who has the log; a handler's traceback stands there as it is",
}
"""Who each reader is open to."""
HOSTILE = "a\x1b[31m\nFORGED\u202e"
READS = (
    ["list"],
    ["show", "one"],
    ["show", "one", "--on", "active"],
    ["work", "one", "{name}"],
    ["errors", "one"],
    ["runs", "one"],
    ["slots", "one"],
    ["settings", "one"],
    ["settings", "one", "--history"],
    ["watch", "-n", "1"],
)


class Watched:
    """An eager app in an importable module, with one process."""

    def __init__(self, planting: ModuleType) -> None:
        app = Celery(MODULE, broker="memory://", set_as_current=False)
        app.conf.task_always_eager = True
        self.processes = Processes(app, backend=MemoryStore())
        self.process = self.processes.process("one", schedule=60, batch_size=10, settings=planting.SETTINGS)(
            planting.handler
        )
        self.planting = planting

    def call(self, *arguments: str) -> Result:
        """Call a command of the terminal."""
        return CliRunner().invoke(celery, ["-A", f"{MODULE}:app", "process", *arguments])

    def read(self, *options: str) -> str:
        """Return what all commands print that read."""
        commands = ([part.format(name=self.planting.NAME) for part in command] for command in READS)
        results = [self.call(*command, *options) for command in commands]
        assert [result.output for result in results if result.exit_code] == []
        return "".join(result.output for result in results)


@pytest.fixture
def watched(planting: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    before = current_app._get_current_object()
    made = Watched(planting)
    module = ModuleType(MODULE)
    module.app = made.processes.app  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, MODULE, module)
    yield made
    before.set_current()


@pytest.mark.parametrize("fact", Fact)
class TestEachCell:
    @pytest.mark.parametrize("options", [[], ["--json"]])
    def test_of_the_command_line(self, watched: Watched, planting: ModuleType, fact: Fact, options: list[str]) -> None:
        """Masked, as text and as JSON; `--reveal` shows all as it is."""
        planting.plant(watched.process)
        assert planting.is_as_told(watched.read(*options), Reader.CLI, fact)
        if fact is not Fact.NAMES:
            reads = [command for command in READS if command[0] != "slots"]
            revealed = "".join(
                watched.call(*[part.format(name=planting.NAME) for part in command], "--reveal", *options).output
                for command in reads
            )
            assert planting.SECRET[fact] in revealed

    def test_of_export(self, watched: Watched, planting: ModuleType, fact: Fact) -> None:
        """All as it is, in lines or as the original's document, and standard error says so."""
        planting.plant(watched.process)
        results = [watched.call("export"), watched.call("export", "--format", "original", "one")]
        assert planting.is_as_told("".join(result.stdout for result in results), Reader.EXPORT, fact)
        assert all("secrets too" in result.stderr for result in results)

    def test_of_health(self, watched: Watched, planting: ModuleType, fact: Fact) -> None:
        """No finding has anything of a process but its name and its times."""
        planting.plant(watched.process)
        assert planting.is_as_told(document(examine(watched.processes, patience=None)), Reader.HEALTH, fact)

    def test_of_metrics(self, watched: Watched, planting: ModuleType, fact: Fact) -> None:
        """Nothing but names of processes is a label."""
        pytest.importorskip("prometheus_client", reason="prometheus-client is not installed.")
        planting.plant(watched.process)
        printed = watched.call("metrics", "--port", "0")
        assert printed.exit_code == 0, printed.output
        assert planting.is_as_told(printed.stdout, Reader.METRICS, fact)

    def test_of_events(self, watched: Watched, planting: ModuleType, fact: Fact, monkeypatch: pytest.MonkeyPatch) -> None:
        """The events of runs have numbers, those of items their names."""
        sent: list[Any] = []
        app = watched.processes.app

        class Dispatcher:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None: ...

            def send(self, kind: str, **fields: Any) -> None:
                sent.append((kind, fields))

        monkeypatch.setattr(app.events, "default_dispatcher", lambda **_: Dispatcher())
        from celery_process.protocol.states import Event
        from celery_process.tasks.events import emit

        app.conf.task_always_eager = True
        planting.plant(watched.process)
        app.conf.task_always_eager = False
        run = watched.process.state().run
        emit(app, watched.process, Event.RUN_STARTED, {"run": run})
        emit(app, watched.process, Event.RUN_FINISHED, {"run": run})
        emit(app, watched.process, Event.WORK_LOST, {"work": planting.NAME, "run_id": run.id if run else ""})
        assert len(sent) == 3
        assert planting.is_as_told(sent, Reader.EVENTS, fact)

    def test_of_logs(self, watched: Watched, planting: ModuleType, fact: Fact, caplog: pytest.LogCaptureFixture) -> None:
        """What a handler raised is there with its traceback, as of every task, and beside it names alone."""
        caplog.set_level(logging.DEBUG)
        watched.process.register_work("zz")
        planting.plant(watched.process)
        with pytest.raises(ProcessPaused):
            watched.process.run_now()
        watched.process.resume()
        assert planting.is_as_told(caplog.text, Reader.LOGS, fact)


def test_the_docs_have_the_table() -> None:
    """A row a reader, a column a fact, as the code has it."""
    facts = list(Fact)
    lines = ["| reader | open to | " + " | ".join(facts) + " |", "|---" * (len(facts) + 2) + "|"]
    for reader in Reader:
        cells = (TABLE[reader].get(fact) for fact in facts)
        shown = ("–" if cell is None else cell.mask + (f", `view_{cell.noun}`" if cell.noun else "") for cell in cells)
        lines.append(f"| {reader} | {ADMITTED[reader]} | " + " | ".join(shown) + " |")
    assert "\n".join(lines) in PAGE.read_text(encoding="utf-8"), "\n".join(lines)


def test_settings_are_edited_as_they_were_shown(watched: Watched, planting: ModuleType) -> None:
    """A mask that `--set` is given keeps the value, of an element of a list only where the rest of it stays."""
    hosts = [{"host": "a", "password": "1"}, {"host": "b", "password": "2"}]
    watched.process.update_settings({"hosts": hosts, "token": "kept"}, by="ann")
    shown = json.loads(watched.call("settings", "one", "--json").stdout)["settings"]
    edited = {"hosts": shown["hosts"][::-1], "token": MASK, "more": 1}
    assert watched.call("settings", "one", "--set", json.dumps(edited)).exit_code == 0
    stored = dict(watched.process.state().settings)
    assert (stored["hosts"], stored["token"], stored["more"]) == (hosts[::-1], "kept", 1)
    edited["hosts"] = [{**shown["hosts"][0], "host": "mine"}]
    refused = watched.call("settings", "one", "--set", json.dumps(edited))
    assert refused.exit_code == 1
    assert "the rest of this element was changed" in refused.output
    assert watched.process.state().settings["hosts"] == hosts[::-1]


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_nothing_that_somebody_wrote_acts_on_the_terminal(
    watched: Watched, planting: ModuleType, options: list[str]
) -> None:
    """Control characters of notes, of who did it, of settings, params and errors are printed as their escapes."""
    text = HOSTILE.encode("unicode_escape").decode()
    watched.process.register_work(planting.NAME, {HOSTILE: HOSTILE})
    watched.process.update_settings({HOSTILE: HOSTILE}, by=HOSTILE)
    watched.process.run_now(by=HOSTILE)
    watched.process.pause(HOSTILE, by=HOSTILE)
    printed = watched.read(*options)
    refused = watched.call("run", "one")
    assert refused.exit_code == 1
    assert "FORGED" in printed
    for output in (printed, refused.output):
        assert "\x1b" not in output
        assert "\u202e" not in output
        assert "\nFORGED" not in output
    assert options or text in printed


def test_who_acts_is_named_without_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the login name of the system where the environment has none, and by number where it has none either."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    assert current_user() == f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    monkeypatch.setattr("getpass.getuser", lambda: {}["nobody"])
    assert current_user() == f"cli:uid-{os.getuid()}"


def test_the_help_is_whole(watched: Watched) -> None:
    """No command's line in the list of commands is cut."""
    assert [line for line in watched.call("--help").output.splitlines()[1:] if line.endswith("...")] == []


@pytest.mark.parametrize(
    ("schedule", "words"), [(None, "another: on demand"), (crontab(minute=5), "another: crontab 5 * * * *")]
)
def test_a_schedule_reads_as_a_sentence(watched: Watched, schedule: Any, words: str) -> None:
    """Only an interval is "every" so long."""
    watched.processes.process("another", schedule=schedule)(lambda work: None)
    assert words in watched.call("show", "another").output


def test_wide_characters_keep_the_columns(watched: Watched) -> None:
    """What takes two columns of the terminal is counted as two."""
    watched.process.register_works({"プロジェクト": None, "plain": None})
    lines = watched.call("show", "one", "--on", "active").output.splitlines()
    assert len({wcswidth(line.partition("NEW")[0]) for line in lines[1:]}) == 1
