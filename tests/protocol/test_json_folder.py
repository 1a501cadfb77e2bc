"""A store outside the package, over its public seam alone, keeps the contract."""

from pathlib import Path

import pytest

from celery_process.testing import MovableClock

from .cases import *  # noqa: F403
from .json_folder import JsonFolder


@pytest.fixture
def store(clock: MovableClock, tmp_path: Path) -> JsonFolder:
    """Give a folder of its own with the test's clock."""
    return made(tmp_path, clock)


def made(folder: Path, clock: MovableClock) -> JsonFolder:
    """Return a store that is migrated."""
    store = JsonFolder(f"json://{folder}", clock=clock)
    store.migrate()
    return store
