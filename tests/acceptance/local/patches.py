"""Two functions of pytest-docker-tools that ask the machine rather than the client."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import pytest_celery.api.base
import pytest_celery.api.container
import pytest_docker_tools.factories.container
import pytest_docker_tools.wrappers.container
from pytest_docker_tools.exceptions import TimeoutError as NotInTime

POLL = 0.05


@contextmanager
def polling_fast() -> Iterator[None]:
    """Poll often, since local nodes start fast; and use mapped ports, even where the tests run inside a container."""
    wrappers = pytest_docker_tools.wrappers.container
    # Factories are imported by name, which hides their modules as attributes of the package.
    factory = sys.modules["pytest_docker_tools.factories.container"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wrappers, "tests_inside_container", lambda: False)
        for module in (wrappers, factory, pytest_celery.api.base, pytest_celery.api.container):
            patch.setattr(module, "wait_for_callable", _wait_for_callable)
        yield


def _wait_for_callable(message: str, func: Callable[[], object], timeout: float = 30) -> None:
    end = time.monotonic() + timeout
    while not func():
        if time.monotonic() > end:
            raise NotInTime(f"{message}: not within {timeout} s")
        time.sleep(POLL)
