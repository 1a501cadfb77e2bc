"""Habits that the repository keeps: what is written down agrees with what is there."""

from __future__ import annotations

import inspect
import re
import subprocess
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from celery_process import Processes
from celery_process.config import Config
from celery_process.contrib.commands import process as command_line

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
SOURCES = sorted(path for folder in ("celery_process", "example_project", "tests") for path in (ROOT / folder).rglob("*.py"))


def section(text: str, heading: str) -> str:
    return text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def first_cells(table: str) -> list[str]:
    return re.findall(r"^\| (`[^|]*?`) \|", table, re.MULTILINE)


def test_the_readme_is_short():
    """The README has at most 120 lines."""
    assert len(README.splitlines()) <= 120


@pytest.mark.parametrize("heading", ["Run it", "Django example", "Test it"])
def test_a_line_does_everything(heading):
    """Under each of these headings stands exactly one console block, of exactly one line."""
    [block] = re.findall(r"```(\w*)\n(.*?)\n```", section(README, heading), re.DOTALL)
    assert block[0] == "console"
    assert "\n" not in block[1]


def test_links_in_the_docs_lead_somewhere():
    """Each relative link of the README and the docs names a file that exists."""
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} → {target}"


def test_the_guide_lists_the_options_of_a_process():
    """The guide's table has each option of `Processes.process`, no other, with its default."""
    options = [name for name in inspect.signature(Processes.process).parameters if name not in ("self", "name")]
    assert [cell.strip("`") for cell in first_cells(section(GUIDE, "Options of a process"))] == options


def test_the_guide_lists_the_settings():
    """The guide's table has each `process_*` setting, and no other."""
    listed = re.findall(r"`process_(\w+)`", " ".join(first_cells(section(GUIDE, "Settings of the app"))))
    listed += re.findall(r"^\| `\w+`, `process_(\w+)` \|", section(GUIDE, "Settings of the app"), re.MULTILINE)
    assert sorted(set(listed)) == sorted({"backend", *(field.name for field in fields(Config))})


def test_the_changelog_lists_the_commands():
    """The changelog of this version names each command of the command line."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {PROJECT['version']}" in text
    assert set(command_line.commands) <= set(re.findall(r"`(\w+)`", text))


def test_ci_runs_every_python_that_the_metadata_names():
    """The matrix of the workflow equals the classifiers, and begins with `requires-python`."""
    named = [line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", line)]
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert re.search(r"python-version: \[(.*?)\]", workflow).group(1) == ", ".join(f'"{version}"' for version in named)
    assert PROJECT["requires-python"] == f">={named[0]}"


def test_ci_calls_the_readme_line():
    """`.ci/run` reads its command from the README, so that the two cannot differ."""
    assert "## Test it" in (ROOT / ".ci" / "run").read_text()
    assert "bash .ci/run" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()


def test_files_stay_small():
    """No Python file is over 350 lines: one noun a file."""
    long = {str(path.relative_to(ROOT)): lines for path in SOURCES if (lines := len(path.read_text().splitlines())) > 350}
    assert not long


def test_nothing_is_left_for_later():
    """No source carries a note to finish it later."""
    marks = re.compile("|".join(rf"\b{mark}\b" for mark in ("TO" + "DO", "FIX" + "ME", "X" * 3)))
    assert not [str(path) for path in SOURCES if marks.search(path.read_text())]


def test_sql_is_never_put_together_from_strings():
    """No f-string reaches `text()`: SQL takes its values as parameters only."""
    sources = [path for path in SOURCES if "stores" in path.parts]
    assert sources
    assert not [path.name for path in sources if re.search(r"\btext\(\s*f[\"']", path.read_text())]


def test_the_license_is_apache():
    """The license file is the one that the metadata names."""
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_shell_scripts_parse():
    """`.ci/run` is valid bash."""
    assert subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=False).returncode == 0
