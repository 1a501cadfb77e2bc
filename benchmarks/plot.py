"""A run's rate, memory and store bytes over its number of items, as a picture for the docs."""

from __future__ import annotations

from pathlib import Path

import click

from benchmarks.figures import Options
from benchmarks.scale import grown

SIZES = (1_000, 10_000, 100_000, 1_000_000)


def plot(path: Path, options: Options) -> None:
    """Run batches of 1,000 … 1,000,000 items (`--items` is the most) and draw what was seen."""
    try:
        from matplotlib.figure import Figure as Picture  # noqa: PLC0415 - for the plot alone
    except ModuleNotFoundError as error:
        raise click.ClickException("A plot needs matplotlib: pip install matplotlib") from error
    sizes = [size for size in SIZES if size <= options.size(SIZES[-1], SIZES[0])] or [SIZES[0]]
    seen = [grown(options, size) for size in sizes]
    lines = {
        "items/s": [rate for rate, _ in seen],
        "largest process, MiB": [max(samples.memory) / 2**20 for _, samples in seen],
        "run's keys, KiB": [max(samples.store) / 2**10 for _, samples in seen],
    }
    picture = Picture(figsize=(9, 3), dpi=80, layout="constrained")
    for axes, (name, values) in zip(picture.subplots(1, len(lines)), lines.items(), strict=True):
        axes.plot(sizes, values, marker="o")
        axes.set_xscale("log")
        axes.set_ylim(0, 1.15 * max(values))
        axes.set_title(name)
        axes.set_xlabel("items of the run")
    picture.savefig(path)
