"""How much a store keeps of what could go on without end."""

from __future__ import annotations

MAX_WORK_ERRORS = 10
"""Error texts that are kept of an item."""
MAX_RUN_ERRORS = 25
"""Error texts that are kept of a run."""
MAX_VERSIONS = 100
"""Versions of its settings that are kept of a process: a program may change them in each run, by 64 KiB at a time."""
