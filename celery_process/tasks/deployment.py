"""Which deployment an app belongs to: two that name their processes alike must not share a store, as each works for both.

The first worker that starts on a store writes its id there; a worker with another id gets a warning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from celery import Celery

from celery_process.config import read_config
from celery_process.exceptions import ConfigurationError
from celery_process.stores.base import Store
from celery_process.stores.warning import StoreWarning


def deployment_of(app: Celery) -> str:
    """Return `process_deployment`, or a digest of what the apps of one deployment share: the app's name and its broker.

    Empty in eager mode, and with the broker `memory://`, which no other program can share.
    """
    deployment = read_config(app).deployment
    if deployment or app.conf.task_always_eager:
        return deployment
    brokers = sorted(_brokers(app))
    if any(broker.startswith("memory:") for broker in brokers):
        return ""
    return hashlib.sha256("\n".join((app.main or "", *brokers)).encode()).hexdigest()[:16]


def _brokers(app: Celery) -> Iterator[str]:
    """Return the address of the broker without credentials; of a failover list, all addresses."""
    with app.connection_for_write() as first:
        urls = list(first.alt or [None])
    for url in urls:
        with app.connection_for_write(url) as connection:
            transport = connection.transport
            kind, host = transport.driver_type, (connection.hostname or "localhost").lower()
            path = (connection.virtual_host or "").strip("/") or ("0" if kind == "redis" else "")
            yield f"{kind}://{host}:{connection.port or transport.default_port or ''}/{path}"


def other_deployment(app: Celery, store: Store, *, claim: bool) -> StoreWarning | None:
    """Return a warning where the store belongs to another deployment; with `claim`, claim a store that belongs to none."""
    deployment = deployment_of(app)
    stored = store.deployment(deployment if claim else "") if deployment else ""
    if stored in ("", deployment):
        return None
    return StoreWarning(
        f"{store.url} belongs to the deployment {stored!r}, and this one is {deployment!r}: where both have a process of "
        "one name, each works on the other's items.",
        "Give this one a database, a process_key_prefix or a process_table_prefix of its own. If it is the same deployment "
        f"(its broker moved, or has several names), set process_deployment to {stored!r}, or assign the store to this "
        "id: celery -A proj process doctor --adopt",
        fault=True,
    )


def adopt(app: Celery, store: Store) -> str:
    """Assign the store to this deployment from now on; return the deployment's id."""
    deployment = deployment_of(app)
    if not deployment:
        raise ConfigurationError(
            "This app has no id of a deployment, in eager mode or with a broker in memory; set process_deployment.",
            setting="process_deployment",
            value=None,
        )
    return store.deployment(deployment, adopt=True)
