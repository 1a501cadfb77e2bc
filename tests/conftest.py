"""Fixtures that give real servers; see `servers`. Where none is to be had the test is skipped, or fails with CI=true."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType

import pytest


def _sibling(name: str) -> ModuleType:
    # With --import-mode=importlib the folder of a conftest is not on sys.path.
    spec = importlib.util.spec_from_file_location(f"cp_tests_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


servers = _sibling("servers")


def _offered(server: AbstractContextManager[str]) -> Iterator[str]:
    try:
        url = server.__enter__()
    except servers.NoServer as none:
        if os.environ.get("CI") == "true":
            pytest.fail(str(none))
        pytest.skip(str(none))
    try:
        yield url
    finally:
        server.__exit__(None, None, None)


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """Give the URL of an empty PostgreSQL database."""
    yield from _offered(servers.postgresql())


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Give the URL of a Redis or Valkey database; only keys that the test made are the test's to delete."""
    yield from _offered(servers.redis())


@pytest.fixture(scope="session")
def rabbitmq_url() -> Iterator[str]:
    """Give the URL of a RabbitMQ virtual host; with queue names of its own a test shares even the default one."""
    yield from _offered(servers.rabbitmq())
