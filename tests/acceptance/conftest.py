"""Real workers, beats and brokers, by pytest-celery's own fixtures; local processes stand in for its containers.

With CP_TEST_DOCKER=1 and a Docker engine, pytest-celery starts containers instead. Its worker image then has to bring this
package with it, and has to reach the store; the folder of a test is mounted at the same path.

A test chooses by indirect parametrisation: `broker_kind` (redis, rabbitmq), `store_kind` (sqlite, postgresql), `conf` (keys
of `app.conf` over the ones below) and `worker_options` (of the first worker's command line).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from pytest_celery import (
    DEFAULT_WORKER_CONTAINER_TIMEOUT,
    DEFAULT_WORKER_VOLUME,
    RABBITMQ_CONTAINER_TIMEOUT,
    CeleryTestBroker,
    CeleryTestSetup,
    CeleryTestWorker,
    CeleryWorkerContainer,
)
from pytest_docker_tools import container, fxtr

from celery_process import Processes
from celery_process.stores import open_store

from .apps import shop, witness
from .evidence import Evidence
from .local import LocalDocker, polling_fast, rabbitmq
from .nodes import Nodes, Said, say, worker_command

SWEEP = 1
"""Seconds between two sweeps."""


def _docker_is_wanted() -> bool:
    if os.environ.get("CP_TEST_DOCKER") != "1":
        return False
    import docker

    try:
        return bool(docker.from_env(timeout=5).ping())
    except docker.errors.DockerException:
        return False


if not _docker_is_wanted():

    @pytest.fixture(scope="session")
    def docker_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalDocker]:
        """Stand in for the client of Docker's SDK; all that it started has ended with the session."""
        with polling_fast(), LocalDocker(tmp_path_factory.mktemp("local")) as client:
            yield client


# -- what a test chooses


@pytest.fixture
def broker_kind(request: pytest.FixtureRequest) -> str:
    """Give the kind of the broker."""
    return getattr(request, "param", "redis")


@pytest.fixture
def store_kind(request: pytest.FixtureRequest) -> str:
    """Give the kind of the store."""
    return getattr(request, "param", "sqlite")


@pytest.fixture
def conf(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Give the keys of `app.conf` that the test sets."""
    return getattr(request, "param", {})


@pytest.fixture
def worker_options(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Give more options of the first worker's command line."""
    return getattr(request, "param", ())


# -- store, broker, app: pytest-celery's fixtures, filled in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder that test and workers share."""
    return tmp_path


@pytest.fixture
def backend(store_kind: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """Give the URL of an empty store."""
    if store_kind == "sqlite":
        return f"sqlite:///{folder}/process.db"
    return request.getfixturevalue("postgresql_url")


@pytest.fixture
def table_prefix(backend: str) -> str:
    """Give the prefix of the test's own tables, which are there."""
    prefix = f"cp_{uuid4().hex[:8]}_"
    store = open_store(backend, table_prefix=prefix)
    store.migrate()
    store.close()
    return prefix


@pytest.fixture
def queue() -> str:
    """Give the name of the test's own queue, since a virtual host may be shared."""
    return f"cp-test-{uuid4().hex[:8]}"


@pytest.fixture
def default_rabbitmq_broker_env(request: pytest.FixtureRequest) -> dict[str, str]:
    """Name the running RabbitMQ, if there is one; without, a node is started where the machine can."""
    try:
        return {rabbitmq.URL: request.getfixturevalue("rabbitmq_url")}
    except (pytest.skip.Exception, pytest.fail.Exception):
        if rabbitmq.server() is None:
            raise
        return {}


default_rabbitmq_broker = container(
    image="{default_rabbitmq_broker_image}",
    ports=fxtr("default_rabbitmq_broker_ports"),
    environment=fxtr("default_rabbitmq_broker_env"),
    network="{default_pytest_celery_network.name}",
    wrapper_class=rabbitmq.RabbitMQ,
    timeout=RABBITMQ_CONTAINER_TIMEOUT,
)


@pytest.fixture
def celery_broker(broker_kind: str, request: pytest.FixtureRequest) -> CeleryTestBroker:
    """Give the broker of the chosen kind."""
    return request.getfixturevalue(f"celery_{broker_kind}_broker")


@pytest.fixture
def celery_backend_cluster() -> None:
    """Keep no results: the library publishes nothing that has one."""


@pytest.fixture
def default_worker_app(
    celery_setup_app: Celery, backend: str, table_prefix: str, queue: str, conf: dict[str, Any]
) -> Celery:
    """Configure the app, for the workers and for the test."""
    celery_setup_app.conf.update(
        {
            "broker_url": celery_setup_app.conf.broker_url,  # only what is set here goes into the module of the app
            "process_backend": backend,
            "process_table_prefix": table_prefix,
            "process_sweep_interval": SWEEP,
            "task_default_queue": queue,
            "task_routes": {"stock.work": {"queue": f"{queue}-stock"}},
            "broker_connection_retry_on_startup": True,
            **conf,
        }
    )
    return celery_setup_app


@pytest.fixture
def celery_worker(worker_options: tuple[str, ...], celery_setup_worker: CeleryTestWorker) -> CeleryTestWorker:
    """Give the first worker. It names what its container asks for by name, which pytest cannot see."""
    return celery_setup_worker


@pytest.fixture
def default_worker_app_module() -> ModuleType:
    """Give the module of the app."""
    return shop


@pytest.fixture
def default_worker_tasks() -> set[ModuleType]:
    """Give the modules that the module of the app imports."""
    return {witness}


@pytest.fixture
def default_worker_env(celery_worker_cluster_config: dict[str, Any], folder: Path) -> dict[str, str]:
    """Give the environment of workers, beats and command lines."""
    return CeleryWorkerContainer.initial_env(celery_worker_cluster_config, {"CP_TEST_FOLDER": str(folder)})


@pytest.fixture
def default_worker_command(worker_options: tuple[str, ...], queue: str) -> list[str]:
    """Give the command line of the first worker."""
    return worker_command(*worker_options, queues=f"{queue},{queue}-stock")


default_worker_container = container(
    image="{celery_base_worker_image.id}",
    environment=fxtr("default_worker_env"),
    network="{default_pytest_celery_network.name}",
    volumes={"{default_worker_volume.name}": DEFAULT_WORKER_VOLUME, "{folder!s}": {"bind": "{folder!s}", "mode": "rw"}},
    wrapper_class=CeleryWorkerContainer,
    timeout=DEFAULT_WORKER_CONTAINER_TIMEOUT,
    command=fxtr("default_worker_command"),
)


# -- what a test uses


@pytest.fixture
def processes(celery_setup: CeleryTestSetup, default_worker_initial_content: dict[str, bytes]) -> Iterator[Processes]:
    """Give the registry of the workers' own module, loaded in the test's interpreter."""
    module = ModuleType("shop_of_the_test")
    exec(compile(default_worker_initial_content["app.py"], "app.py", "exec"), module.__dict__)
    yield module.processes
    module.processes.store.close()
    module.app.close()


@pytest.fixture
def evidence(folder: Path) -> Evidence:
    """Give what the handlers wrote down."""
    return Evidence(folder)


@pytest.fixture
def nodes(
    docker_client: Any,
    celery_base_worker_image: Any,
    default_pytest_celery_network: Any,
    default_worker_volume: Any,
    default_worker_env: dict[str, str],
    default_worker_app: Celery,
    folder: Path,
    queue: str,
) -> Iterator[Nodes]:
    """Give a starter of more nodes; they end with the test."""
    options = {
        "image": celery_base_worker_image.id,
        "environment": default_worker_env,
        "network": default_pytest_celery_network.name,
        "volumes": {default_worker_volume.name: DEFAULT_WORKER_VOLUME, str(folder): {"bind": str(folder), "mode": "rw"}},
    }
    made = Nodes(docker_client, options, default_worker_app, folder, queues=f"{queue},{queue}-stock")
    yield made
    made.end()


@pytest.fixture
def command(celery_setup: CeleryTestSetup) -> Callable[..., Said]:
    """Give `celery -A app process …`, run beside the first worker."""
    return lambda *arguments: say(celery_setup.worker, "process", *arguments)
