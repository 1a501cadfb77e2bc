"""What a newcomer has: a fresh copy of the repository, the README's lines, and an environment that knows nothing of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".tox", ".venv", ".quickstart", ".example", "__pycache__", ".*_cache", ".hypothesis", "dist"
)
OWN = ("VIRTUAL_ENV", "PYTHON", "TOX", "EXAMPLE_", "DJANGO_")


def readme_line(heading: str) -> str:
    """Return the one line of the one console block under a heading of the README."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    block: str
    [block] = re.findall(r"```console\n(.*?)\n```", section, re.DOTALL)
    assert "\n" not in block
    return block


class Clone:
    """A copy of the repository, with a space in its name."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "my clone"
        shutil.copytree(ROOT, self.home, ignore=LEFT_OUT)
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(OWN)}

    def shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line as it would be typed there."""
        return subprocess.run(
            line,
            shell=True,
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
