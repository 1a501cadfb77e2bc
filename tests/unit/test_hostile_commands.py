"""Any text in any place of a command: one line that says what is wrong, and nothing changed, or it was done."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import current_app

from tests.hostile import TEXTS
from tests.snapshots import snapshot

from .test_cli import MODULE, Terminal, defined

WORDS = [str(text) for text in TEXTS if len(text) < 2_000]
NUMBERS = [
    "0",
    "-1",
    "1",
    "99999999999999999999",
    "1.5",
    "1e3",
    "",
    " ",
    "nan",
    "inf",
    "x",
    "١",
    "0x10",
    "9" * 5_000,
    "None",
]
SLOTS = [
    "",
    "now",
    "2026",
    "2026-13-01",
    "2026-02-30",
    "2999-01-01",
    "0001-01-01",
    "9999-12-31T23:59:59Z",
    "1772452800",
    "12:00",
]
OF_JSON = [
    "",
    "{",
    "[]",
    "null",
    "1",
    '"x"',
    "{}",
    '{"a": NaN}',
    '{"a": 1e999}',
    '{"a": Infinity}',
    '{"a": 1, "a": 2}',
    "{'a': 1}",
]
OF_JSON += [
    '{"a": ' + "[" * 100 + "]" * 100 + "}",
    "[" * 100_000,
    '{"a": "' + "x" * 70_000 + '"}',
    '{"a": ' + "9" * 5_000 + "}",
]
OF_JSON += ['{"": 1}', '{"\\ud800": 1}', '{"\\ud83d\\ude00": 1}', '{"__proto__": {"a": 1}}', "\0", '{"a": 1} x', "\ufeff{}"]
COMMANDS: dict[str, list[str]] = {
    "show ?": WORDS,
    "run ?": WORDS,
    "pause ?": WORDS,
    "work key-gc ?": WORDS,
    "errors key-gc ?": WORDS,
    "redrive key-gc ?": WORDS,
    "register key-gc ?": WORDS,
    "unregister key-gc ?": WORDS,
    "pause key-gc --note ?": WORDS,
    "show key-gc --on ?": WORDS,
    "export ?": WORDS,
    "settings key-gc --schedule ?": [*WORDS, *NUMBERS],
    "limits key-gc --rate-limit ?": [*WORDS, *NUMBERS],
    "limits key-gc --max-in-flight ?": NUMBERS,
    "settings key-gc --set {} --expected-version ?": NUMBERS,
    "runs key-gc -n ?": NUMBERS,
    "slots key-gc -n ?": NUMBERS,
    "settings key-gc --history -n ?": NUMBERS,
    "run key-gc --slot ?": [*SLOTS, *NUMBERS],
    "settings key-gc --set ?": OF_JSON,
    "register key-gc a --params ?": OF_JSON,
}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    before = current_app._get_current_object()
    made = Terminal()
    monkeypatch.setitem(sys.modules, MODULE, made.module)
    monkeypatch.setenv("USER", "ada")
    yield made
    before.set_current()


@pytest.mark.parametrize("command", COMMANDS)
def test_any_text(terminal: Terminal, command: str) -> None:
    """Exit status 1 or 2 with a message and the store as it was, or 0; nothing acts on the terminal."""
    process = defined(terminal)
    process.run_now()
    store, ended = terminal.processes.store, set()
    before = snapshot(store)
    for text in COMMANDS[command]:
        result = terminal.call(*(text if part == "?" else part for part in command.split()))
        ended.add(result.exit_code)
        if result.exit_code == 0:
            process.resume()
            before = snapshot(store)
            continue
        assert isinstance(result.exception, SystemExit), (text, result.exception)
        assert snapshot(store) == before, text
        assert "Error: " in result.stderr, text
        assert result.stdout == "", text
        # Click's own message about an option ends without a period before 8.2.
        assert result.stderr.rstrip().endswith(".") or "No such option" in result.stderr, result.stderr
        assert all(line.isprintable() for line in result.stderr.splitlines()), text
        if result.exit_code == 1:
            assert result.stderr.count("\n") == 1, result.stderr
    assert ended & {1, 2}


@pytest.mark.parametrize(
    "content", [*OF_JSON, *WORDS[:60], "\xff\xfe", '{"celery_process": 1}\n' * 3], ids=lambda text: ascii(text)[:30]
)
def test_any_file(terminal: Terminal, tmp_path: Path, content: str) -> None:
    """A file that is no document is refused with nothing written."""
    defined(terminal)
    before: Any = snapshot(terminal.processes.store)
    file = tmp_path / "document"
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    result = terminal.call("import", str(file))
    if content.strip().strip("\x85\u2028"):
        assert (result.exit_code, result.stdout) == (1, ""), result.output
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1
    assert snapshot(terminal.processes.store) == before
    assert json.loads(terminal.printed("list", "--json"))
