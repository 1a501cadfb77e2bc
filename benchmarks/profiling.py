"""Where the time of a run goes: the whole path in one process, so that one profile has all of it."""

from __future__ import annotations

import cProfile
import pstats
import shutil
import subprocess
import sys
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


def py_spy(arguments: list[str]) -> None:
    """Run the benchmarks again under py-spy, which follows the worker's processes."""
    program = shutil.which("py-spy")
    if program is None:
        raise click.ClickException("No py-spy: pip install py-spy")
    command = [program, "record", "--subprocesses", "-o", "profile.svg", "--", sys.executable, "-m", "benchmarks"]
    subprocess.run([*command, *arguments], check=True)
