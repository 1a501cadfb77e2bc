"""Where the time of a run goes: the whole path in one process, so that one profile has all of it."""

from __future__ import annotations

import cProfile
import pstats
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import click

from benchmarks import calls, servers
from benchmarks.figures import Options

SIZES = {"S1": 1, "S2": 100, "S3": 100}
TOP = 25


def cprofile(measure: str, options: Options) -> None:
    """Run the items of a measure under cProfile, eagerly, and print the functions by own time."""
    if measure not in SIZES:
        raise click.UsageError(f"--profile takes one of {', '.join(SIZES)}.")
    number = options.size(5_000, 500)
    server = servers.postgresql if measure == "S3" else servers.redis
    with server() as url:
        store = options.store or (url if measure == "S3" else f"{url}/1")
        profile = cProfile.Profile()
        profile.runcall(calls.run_eagerly, store, number=number, size=SIZES[measure])
    path = Path(f"{measure}.prof")
    profile.dump_stats(path)
    pstats.Stats(profile).sort_stats("tottime").print_stats(TOP)
    click.echo(f"{path} has all of it.")


def py_spy(names: Sequence[str], options: Options) -> None:
    """Run the measures under py-spy, which follows the worker's processes."""
    program = shutil.which("py-spy")
    if program is None:
        raise click.ClickException("No py-spy: pip install py-spy")
    given = [(f"--{field.name}", getattr(options, field.name)) for field in fields(options)]
    switches = [name for name, value in given if value is True]
    values = [part for name, value in given if value not in (None, True, False) for part in (name, str(value))]
    path = Path("profile.svg")
    command = [program, "record", "--subprocesses", "-o", str(path), "--", sys.executable, "-m", "benchmarks"]
    subprocess.run([*command, *names, *switches, *values], check=True)
    click.echo(f"{path} has all of it.")
