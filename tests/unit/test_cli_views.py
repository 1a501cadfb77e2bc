"""What one sees in the terminal: `watch`, `errors`, `doctor`, `metrics`, at 80 columns, in colour and without."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from celery import Celery

from celery_process import Processes
from celery_process.cli.watch import _readings

MODULE = """
from celery import Celery
from celery_process import Processes
app = Celery("shop", broker="memory://")
app.conf.task_always_eager = True
processes = Processes(app, backend="sqlite:///process.db")
@processes.process("key-gc-of-everything-there-is", schedule=3600)
def gc(work):
    if work.name.endswith("7"):
        raise ValueError("upstream answered 503 to a GET of its second page, three times in a row " + work.name)
@processes.process("quiet", schedule=None)
def quiet(work): ...
if __name__ == "__main__":
    gc.register_works(dict.fromkeys(f"project-{n:04}" for n in range(120)))
    gc.run_now()
    gc.update_settings({"second_page": "https://upstream.example.org/accounts?page=2&size=500"}, schedule=5400, by="flower:" + 9 * "ada")
    quiet.pause("upstream is down since Monday, and nobody knows why; see the ticket about it", by="ada")
"""
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with an app whose process ran once, with 12 errors."""
    made = tmp_path_factory.mktemp("views")
    (made / "viewed.py").write_text(MODULE)
    subprocess.run([sys.executable, "viewed.py"], cwd=made, check=True, capture_output=True, timeout=60)
    return made


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "viewed", "process", *arguments]


def piped(folder: Path, *arguments: str, status: int = 0) -> str:
    done = subprocess.run(command(*arguments), cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


LOOP = """
import json, sys
from celery.bin.celery import celery
for name, arguments in json.loads(sys.argv[1]).items():
    print(f"view:{name}:")
    try:
        celery.main(["-A", "viewed", "process", *arguments])
    except SystemExit:
        sys.stdout.flush()
"""
VIEWS = {
    "list": ["list"],
    "show": ["show", "key-gc-of-everything-there-is"],
    "items": ["show", "key-gc-of-everything-there-is", "--on", "active", "-n", "5"],
    "runs": ["runs", "key-gc-of-everything-there-is"],
    "slots": ["slots", "key-gc-of-everything-there-is"],
    "work": ["work", "key-gc-of-everything-there-is", "project-0007"],
    "history": ["settings", "key-gc-of-everything-there-is", "--history"],
    "errors": ["errors", "key-gc-of-everything-there-is"],
    "watch": ["watch", "--count", "2", "--every", "0.1"],
}


def looked(folder: Path, *, terminal: bool, **environment: str) -> dict[str, str]:
    """Return what each view writes to a terminal of 80 columns and 40 rows, or else to a pipe."""
    main, side = pty.openpty() if terminal else os.pipe()
    if terminal:
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    env = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "LINES")}
    env |= {"TERM": "xterm-256color", **environment}
    loop = [sys.executable, "-c", LOOP, json.dumps(VIEWS)]
    running = subprocess.Popen(loop, cwd=folder, stdin=subprocess.DEVNULL, stdout=side, stderr=side, env=env)
    os.close(side)
    written = b""
    try:
        while chunk := os.read(main, 65_536):
            written += chunk
    except OSError:  # a terminal whose other side was closed
        pass
    finally:
        os.close(main)
        running.wait(30)
    parts = re.split(r"view:(\w+):\r?\n", written.decode())
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.fixture(scope="module")
def seen(folder: Path) -> dict[str, str]:
    return looked(folder, terminal=True)


@pytest.mark.parametrize("view", VIEWS)
def test_80_columns(seen: dict[str, str], view: str) -> None:
    """No line of a view is longer than a terminal of 80 columns, and what matters is not cut."""
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", ESCAPE.sub("", seen[view]))]
    assert max(map(len, lines)) <= 80, max(lines, key=len)
    text = "\n".join(lines)
    assert any(word in text for word in ("COMPLETED", "INCOMPLETE", "ran", "flower:adaada")), text


def test_colour(folder: Path, seen: dict[str, str]) -> None:
    """A terminal gets colours, unless NO_COLOR says otherwise; a pipe gets none and nothing that moves the cursor."""
    without, piped_views = looked(folder, terminal=True, NO_COLOR="1"), looked(folder, terminal=False)
    for view in ("list", "watch", "errors", "runs", "show", "work"):
        assert re.search(r"\x1b\[3[23]m", seen[view]), view
    for view in VIEWS:
        assert not re.search(r"\x1b\[(\d+;)*[349]\d", without[view]), view
        assert "\x1b" not in piped_views[view]


def test_watch(folder: Path) -> None:
    """`watch` has a line a process, then who paused it and the last error."""
    printed = piped(folder, "watch", "--count", "1")
    assert re.search(r"COMPLETED .*100% +120/120", printed), printed
    assert "12/25" in printed
    assert "quiet is paused by ada: upstream is down" in printed
    assert "project-0117: ValueError" in printed


def test_watch_json(folder: Path) -> None:
    """With --json each refresh is one line of JSON."""
    lines = piped(folder, "watch", "--count", "3", "--every", "0.1", "--json").splitlines()
    assert len(lines) == 3
    for line in lines:
        one, other = json.loads(line)["processes"]
        assert (one["process"], one["fraction"], one["done"], one["errors"]) == (
            "key-gc-of-everything-there-is",
            1.0,
            120,
            12,
        )
        assert other["paused"]["by"] == "ada"


def test_watch_ends_with_ctrl_c(folder: Path) -> None:
    """Ctrl-C ends it, with status 0 and no traceback."""
    running = subprocess.Popen(
        command("watch", "--json", "--every", "0.1"), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    assert json.loads(running.stdout.readline())
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert (running.returncode, said) == (0, "")


def test_watch_tells_of_a_store_that_is_away() -> None:
    """A store out of reach is told of instead of the processes, and does not end the watch."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        processes = Processes(Celery("away", set_as_current=False), backend=f"redis://127.0.0.1:{free.getsockname()[1]}/0")
        process = processes.process("key-gc", schedule=60)(lambda work: None)
        looks = list(_readings([process], 0.01, 2))
    assert [type(look) for look in looks] == [str, str]
    assert "did not answer" in looks[0]


def test_errors(folder: Path) -> None:
    """`errors` lists a run's errors with their items, of the last run or of a named one."""
    document = json.loads(piped(folder, "errors", "key-gc-of-everything-there-is", "--json"))
    assert document["total_errors"] == len(document["errors"]) == 12
    assert {error["work"][-1] for error in document["errors"]} == {"7"}
    again = piped(folder, "errors", "key-gc-of-everything-there-is", document["run"])
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ  project-0007  ValueError: upstream", again, re.MULTILINE), again
    assert piped(folder, "errors", "quiet") == "quiet never ran\n"


def test_doctor(folder: Path) -> None:
    """`doctor` prints a line a finding and the cure of each fault; its status says whether there is one."""
    assert {finding["ok"] for finding in json.loads(piped(folder, "doctor", "--json"))["findings"]} == {True}
    (folder / "faulty.py").write_text(MODULE.replace("sqlite:///process.db", "redis://127.0.0.1:1/0"))
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "faulty", "process", "doctor"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert re.search(r"^FAULT store: .*\n +→ Start the store's server", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize(("view", "package"), [("watch", "rich"), ("metrics", "prometheus_client")])
def test_a_missing_package(folder: Path, view: str, package: str) -> None:
    """What an extra brings is named with the pip command where it is missing."""
    blocked = folder / f"without-{package}"
    (blocked / package).mkdir(parents=True, exist_ok=True)
    (blocked / package / "__init__.py").write_text(f"raise ModuleNotFoundError('gone', name={package!r})")
    done = subprocess.run(
        command(view), cwd=folder, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": str(blocked)}
    )
    assert done.returncode == 1
    extra = {"rich": "watch", "prometheus_client": "prometheus"}[package]
    assert done.stderr.count("\n") == 1
    assert f"pip install 'celery-process[{extra}]'" in done.stderr
