"""The check of the server when a worker starts: refuse one that cannot serve, warn of one that may lose data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from redis.cluster import RedisCluster
from redis.exceptions import ResponseError

from celery_process.exceptions import ConfigurationError
from celery_process.stores.redis.client import Client, version_of
from celery_process.stores.redis.keys import deployment_key
from celery_process.stores.warning import StoreWarning

OLDEST = (6, 2)


def check(client: Client) -> tuple[StoreWarning, ...]:
    """Make a round trip, refuse a server that is too old, and return what may lose data."""
    client.tried("check", lambda server: server.ping())
    version = client.tried("check", version_of)
    shown = client.address.shown
    if version is not None and version < OLDEST:
        raise ConfigurationError(
            f"{shown} is Redis {'.'.join(map(str, version))}; the store needs 6.2 or newer: upgrade the server.",
            setting="process_backend",
            value=shown,
        )
    # An account that may not run scripts is to fail here and not at the first slot.
    client.call("check", "read", "check")
    warnings = list(_warnings(client))
    if version is None:
        text = f"The version of {shown} could not be checked: this account may not use INFO."
        warnings.append(StoreWarning(text, "It has to be 6.2 or newer."))
    return tuple(warnings)


def deployment(client: Client, own: str, *, adopt: bool) -> str:
    """Return the id that is noted, after noting `own` where there is none or, with `adopt`, in any case."""
    key = deployment_key(client.prefix)

    def once(server: Any) -> str:
        if own:
            server.set(key, own, nx=not adopt)
        return server.get(key) or ""

    return client.tried("deployment", once)


def _warnings(client: Client) -> Iterator[StoreWarning]:
    shown = client.address.shown
    infos = client.tried("check", _infos)
    if infos is None:
        yield StoreWarning(
            f"Whether {shown} keeps what it is given could not be checked, as this account may not use INFO.",
            "Make sure that it has maxmemory-policy noeviction and appendonly yes.",
        )
        return
    policies = {str(info.get("maxmemory_policy", "noeviction")) for info in infos}
    for policy in sorted(policies - {"noeviction"}):
        yield StoreWarning(
            f"{shown} has maxmemory-policy {policy}: when its memory is full it may delete keys of open runs.",
            "Set it to noeviction.",
            fault=True,
        )
    if not client.address.volatile and any(str(info.get("aof_enabled", 1)) == "0" for info in infos):
        yield StoreWarning(
            f"{shown} has appendonly no: a restart loses what was written since its last snapshot, runs and registrations.",
            "Set it to yes, or say that this is meant with volatile_store=true in the URL.",
        )
    if any(int(info.get("connected_slaves", 0)) for info in infos):
        yield StoreWarning(
            f"{shown} has replicas, and replication is asynchronous: a failover may lose the last writes, so that items "
            "that ended are worked again and registrations have to be repeated.",
            "Change it if it was not meant so.",
        )


def _infos(server: Any) -> list[Mapping[str, Any]] | None:
    """Return what the servers answer to INFO, or None where the account may not ask."""
    cluster = isinstance(server, RedisCluster)
    try:
        answers = [
            server.info(section, target_nodes=RedisCluster.PRIMARIES) if cluster else {"": server.info(section)}
            for section in ("memory", "persistence", "replication")
        ]
    except ResponseError:
        return None
    return [info for answer in answers for info in answer.values()]
