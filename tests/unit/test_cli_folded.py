"""How the command line folds a text: by the columns of the terminal, which colours do not take and wide letters take twice."""

from __future__ import annotations

import click
import pytest

from celery_process.cli.base import columns, folded

RUN = "run 28491616-74b1ab3fb5dd4bd7 {} started 2026-11-26 18:20:16Z: 2 errors"


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        (RUN.format(click.style("COMPLETED", fg="green")), 80, [RUN.format("COMPLETED")]),
        ("slot 2026-11-26 18:20:10Z, by ann", 26, ["slot 2026-11-26 18:20:10Z,", "by ann"]),
        ("a slot 2026-11-26 18:20:10Z, by ann", 26, ["a slot", "2026-11-26 18:20:10Z, by", "ann"]),
        ("two  spaces", 80, ["two  spaces"]),
        ("界" * 15 + " a", 20, ["界" * 10, "界" * 5 + " a"]),
        ("x" * 45, 20, ["x" * 20, "x" * 20, "x" * 5]),
        (" \n ", 20, [""]),
    ],
)
def test_folded(text: str, width: int, lines: list[str]) -> None:
    """Between words, of which an instant is one; a word longer than a line in pieces."""
    found = [click.unstyle(line) for line in folded(text, width)]
    assert found == lines
    assert all(columns(line) <= width for line in found)
