"""Fixtures that give real servers; see `servers`. Where none is to be had the test is skipped, or fails with CI=true."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import trustme

# The cases are imported, not collected, so pytest would not rewrite their asserts by itself.
pytest.register_assert_rewrite("tests.protocol", "celery_process.testing.rows")


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
redis_servers = _sibling("redis_servers")
planted = _sibling("planted")
proxies = _sibling("proxy")


LONGEST = ("simulation", "protocol", "interleavings")
"""The folders whose files take minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, so that none of several processes is still at them when the others have ended."""
    items.sort(key=lambda item: LONGEST.index(item.path.parent.name) if item.path.parent.name in LONGEST else len(LONGEST))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the lines of `say`, and how many cases of the contract of operations each store passed."""
    for report in terminalreporter.stats.get("passed", []) + terminalreporter.stats.get("failed", []):
        for name, line in report.user_properties:
            if name == "figures":
                terminalreporter.line(line)
    passed: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", ()):
        path, _, case = report.nodeid.partition("::")
        if Path(path).parent.name == "protocol" and case.startswith("Test"):
            server = re.search(r"[\[-](valkey|redis)[\]-]", case)
            passed[Path(path).stem.removeprefix("test_") + (f" ({server[1]})" if server else "")] += 1
    if passed:
        terminalreporter.line("T1: cases passed · " + " · ".join(f"{store} {count:,}" for store, count in passed.items()))


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Give a function that adds a line to the summary of the test run."""
    return lambda line: record_property("figures", line)


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
def pgbouncer_url(postgresql_url: str) -> Iterator[str]:
    """Give the URL of a PgBouncer before that database, in transaction mode."""
    yield from _offered(servers.pgbouncer(postgresql_url))


@pytest.fixture(scope="session")
def mysql_url() -> Iterator[str]:
    """Give the URL of an empty MySQL or MariaDB database."""
    yield from _offered(servers.mysql())


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Give the URL of a Redis or Valkey database; only keys that the test made are the test's to delete."""
    yield from _offered(servers.redis())


@pytest.fixture(scope="session")
def machine_redis_url() -> Iterator[str]:
    """Give the URL of an own server of the machine's `redis-server`."""
    yield from _offered(redis_servers.redis())


@pytest.fixture
def start_proxy() -> Iterator[Callable[[int], Any]]:
    """Give a function that starts a proxy before the server on a port; see `proxy.Proxy`."""
    with ExitStack() as stack:
        yield lambda port: stack.enter_context(proxies.proxy_to("127.0.0.1", port))


@pytest.fixture(scope="session")
def redis_cluster_url() -> Iterator[str]:
    """Give the URL of an own cluster of three servers."""
    yield from _offered(redis_servers.cluster())


@pytest.fixture
def start_valkey() -> Iterator[Callable[..., str]]:
    """Give a function that starts an own Valkey with settings and returns its URL; all end with the test."""
    with ExitStack() as stack:

        def start(**settings: str) -> str:
            try:
                return stack.enter_context(redis_servers.valkey(**settings))
            except servers.NoServer as none:
                if os.environ.get("CI") == "true":
                    pytest.fail(str(none))
                pytest.skip(str(none))

        yield start


@pytest.fixture
def tls_redis(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Give the URL of an own Redis that speaks TLS alone, and the certificate of who signed its own."""
    authority, signed = trustme.CA(), tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(signed))
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "certificate.pem"))
    files = {"tls_cert_file": "certificate.pem", "tls_key_file": "key.pem", "tls_ca_cert_file": "authority.pem"}
    settings = {name: str(tmp_path / file) for name, file in files.items()}
    for url in _offered(redis_servers.redis(**settings, tls_auth_clients="no")):
        yield url, signed


@pytest.fixture
def start_sentinel() -> Iterator[Callable[[str], int]]:
    """Give a function that starts an own sentinel, which watches the server of a URL as `mymaster`, and returns its port."""
    with ExitStack() as stack:
        yield lambda url: stack.enter_context(redis_servers.sentinel(url, "mymaster"))


@pytest.fixture(scope="session")
def rabbitmq_url() -> Iterator[str]:
    """Give the URL of a RabbitMQ virtual host; with queue names of its own a test shares even the default one."""
    yield from _offered(servers.rabbitmq())


@pytest.fixture
def planting() -> ModuleType:
    """Give what plants a secret in every fact of a process, and what looks for it in what a reader shows."""
    return planted


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Give two versions of the SQL tables more, and what they make."""
    versions = _sibling("later")
    versions.install(monkeypatch)
    return versions
