"""Nodes of a cluster and sentinels that take connections and never answer: each is waited for once."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis
from redis.cluster import RedisCluster

from celery_process.exceptions import StoreUnavailable
from celery_process.stores import retry
from celery_process.stores.redis import RedisStore

pytestmark = pytest.mark.server("redis")

LEASE = 30


@pytest.fixture
def silent() -> Iterator[int]:
    """Give a port where connections are taken, and nothing is ever said."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield int(server.getsockname()[1])


def test_a_cluster_s_node(redis_cluster_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One try of an operation sends to a frozen node once; the next is done once the node is back."""
    sent = []
    send: Any = RedisCluster._execute_command

    def count(self: Any, node: Any, *args: Any, **more: Any) -> Any:
        sent.append(node.port)
        return send(self, node, *args, **more)

    monkeypatch.setattr(RedisCluster, "_execute_command", count)
    monkeypatch.setattr(retry, "PATIENCE", 0.5)
    store = RedisStore(f"{redis_cluster_url}?socket_timeout=1", key_prefix=f"hole-{uuid4().hex[:8]}:")
    store.register("p", {"a": "{}"})
    port = sent[-1]
    with Redis(port=port) as node:
        server = int(node.info("server")["process_id"])
        sent.clear()
        os.kill(server, signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnavailable):
                store.register("p", {"b": "{}"})
        finally:
            os.kill(server, signal.SIGCONT)
        assert sent == [port]
        node.ping()
    monkeypatch.undo()
    assert store.register("p", {"c": "{}"}) == ("c",)
    store.close()


def test_a_sentinel(silent: int, start_valkey: Callable[..., str], start_sentinel: Callable[[str], int]) -> None:
    """Another one is asked, long before a lease runs out."""
    store = RedisStore(f"sentinel://127.0.0.1:{silent};127.0.0.1:{start_sentinel(start_valkey())}/mymaster/0")
    began = time.monotonic()
    assert store.register("p", {"a": "{}"}) == ("a",)
    assert time.monotonic() - began < LEASE / 3
    store.close()
