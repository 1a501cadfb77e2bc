"""The README's "Run it" line and the quickstart's verdicts, as a newcomer meets them: subprocesses, no server."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

from .newcomer import ROOT, Clone, readme_line


@pytest.mark.timeout(600)
def test_the_run_line_works_in_a_clone_with_a_space_in_its_name_twice(tmp_path):
    """The line sets itself up, runs a whole process, says COMPLETED and ends with status 0, the second time as well."""
    clone = Clone(tmp_path)
    for _ in range(2):
        done = clone.shell(readme_line("Run it"))
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"^COMPLETED: \d+ packages, [\d,]+ files", done.stdout, re.MULTILINE), done.stdout
    shown = clone.shell(".venv/bin/celery -A example_project.quickstart process show verify-packages --json")
    state = json.loads(shown.stdout)["state"]
    assert state["run"]["state"] == "COMPLETED"
    assert state["aggregate_stats"]["runs"] >= 2


def distribution(folder: Path, name: str, files: dict[str, bytes], *, altered: frozenset[str] = frozenset()) -> None:
    """Install a distribution into a folder: its files, and a RECORD with their sums from before they were altered."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    rows = []
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content + b"!" if path in altered else content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(content)}")
    (info / "RECORD").write_text("\n".join(rows) + "\n")


def quickstart(installed: Path, folder: Path) -> tuple[subprocess.CompletedProcess[str], dict[str, dict]]:
    """Run the quickstart with more distributions installed; return how it ended and its work items by name."""
    environment = {**os.environ, "QUICKSTART_FOLDER": str(folder), "PYTHONPATH": f"{installed}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "example_project"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)
    show = [sys.executable, "-m", "celery", "-A", "example_project.quickstart", "process", "show", "verify-packages"]
    options = {"cwd": ROOT, "env": environment, "capture_output": True, "text": True, "check": True}
    items = json.loads(subprocess.run([*show, "--on", "active", "-n", "5000", "--json"], **options).stdout)
    return done, {item["name"]: item for item in items}


@dataclass(frozen=True)
class TwoRuns:
    """How two runs of the quickstart ended, and their work items: what the first one found is gone before the second."""

    first: subprocess.CompletedProcess[str]
    found: dict[str, dict]
    reported: bool
    second: subprocess.CompletedProcess[str]
    left: dict[str, dict]
    report: Path


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory) -> TwoRuns:
    """Run the quickstart beside a distribution with an altered byte and a sound one, and again without both."""
    installed, folder = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("state")
    for path in metadata.distribution("vine").files or []:
        if path.suffix != ".pyc" and not str(path).startswith(".."):
            target = installed / str(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(path.locate()), target)
    tampered = installed / "vine" / "promises.py"
    tampered.write_bytes(tampered.read_bytes() + b"\n")
    distribution(installed, "short-lived", {"short/lived.txt": b"as shipped"})
    report = folder / "reports" / "short-lived.txt"
    first, found = quickstart(installed, folder)
    reported = report.exists()
    shutil.rmtree(installed)
    return TwoRuns(first, found, reported, *quickstart(installed, folder), report)


def test_a_tampered_file_is_an_error_of_just_its_distribution(two_runs):
    """One altered byte in an installed distribution: one error of that item, the run stays COMPLETED."""
    done, items = two_runs.first, two_runs.found
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^COMPLETED: .* 1 errors", done.stdout, re.MULTILINE), done.stdout
    faulty = {name: item["status"] for name, item in items.items() if item["status"]["total_errors"]}
    assert list(faulty) == ["vine"]
    assert faulty["vine"]["errors"][0]["text"] == "vine/promises.py was altered"
    assert faulty["vine"]["stats"]["files"] > 5


def test_an_uninstalled_distribution_is_cleaned_up(two_runs):
    """What was installed at the first run and is gone at the second is cleaned up: report removed, item dropped."""
    assert two_runs.found["short-lived"]["status"]["state"] == "COMPLETED"
    assert two_runs.reported
    assert two_runs.second.returncode == 0, two_runs.second.stdout + two_runs.second.stderr
    assert "short-lived" not in two_runs.left
    assert not two_runs.report.exists()


def test_beyond_the_tolerance_the_run_is_aborted_and_starts_nothing_new(tmp_path):
    """The 11th altered file of an item aborts the run: ABORTED, and the items not yet started stay unstarted."""
    installed = tmp_path / "installed"
    files = {f"aaa/file{number}.txt": b"as shipped" for number in range(12)}
    distribution(installed, "AAA", files, altered=frozenset(files))
    for number in range(400):
        distribution(installed, f"zz-{number:03}", {f"zz/{number:03}.txt": b"as shipped"})
    done, items = quickstart(installed, tmp_path / "state")
    assert done.returncode == 1
    assert re.search(r"^ABORTED: ", done.stdout, re.MULTILINE), done.stdout + done.stderr
    assert items["AAA"]["status"]["state"] == "ABORTED"
    assert items["AAA"]["status"]["total_errors"] >= 11
    unstarted = [item for item in items.values() if item["status"]["started_at"] is None]
    assert len(unstarted) > 300
    assert all(item["status"]["state"] == "ABORTED" and not item["status"]["stats"] for item in unstarted)
