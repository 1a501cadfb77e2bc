"""What a URL of the Redis store may be, and what is shown of it."""

from __future__ import annotations

from typing import Any

import pytest

from celery_process.exceptions import ConfigurationError
from celery_process.stores import open_store
from celery_process.stores.redis import RedisStore
from celery_process.stores.redis.address import Kind, parse


@pytest.mark.parametrize(
    ("url", "kind", "nodes", "options"),
    [
        ("redis://", Kind.SINGLE, [("localhost", 6379)], {"db": 0}),
        ("redis://host:7000/3", Kind.SINGLE, [("host", 7000)], {"db": 3}),
        ("redis://host?db=4", Kind.SINGLE, [("host", 6379)], {"db": 4}),
        ("redis://[::1]:7000/3", Kind.SINGLE, [("::1", 7000)], {"db": 3}),
        ("valkey://ann:s%40cret@host/1", Kind.SINGLE, [("host", 6379)], {"db": 1, "username": "ann", "password": "s@cret"}),
        ("rediss://host/0", Kind.SINGLE, [("host", 6379)], {"db": 0, "ssl": True}),
        (
            "valkeys://host/0?ssl_cert_reqs=CERT_NONE",
            Kind.SINGLE,
            [("host", 6379)],
            {"db": 0, "ssl": True, "ssl_cert_reqs": "none"},
        ),
        ("redis://host?socket_timeout=2.5", Kind.SINGLE, [("host", 6379)], {"db": 0, "socket_timeout": 2.5}),
        ("unix:///run/redis.sock?db=2", Kind.SINGLE, [], {"path": "/run/redis.sock", "db": 2}),
        ("redis+socket:///run/redis.sock?virtual_host=1", Kind.SINGLE, [], {"path": "/run/redis.sock", "db": 1}),
        ("redis+cluster://a:1;b:2", Kind.CLUSTER, [("a", 1), ("b", 2)], {}),
        ("redis+cluster://:pw@a:1,b/0", Kind.CLUSTER, [("a", 1), ("b", 6379)], {"password": "pw"}),
        ("rediss+cluster://a", Kind.CLUSTER, [("a", 6379)], {"ssl": True}),
    ],
)
def test_parsed(url: str, kind: Kind, nodes: list[Any], options: dict[str, Any]) -> None:
    """A URL names how the server is found, its nodes, and the options of the client."""
    address = parse(url)
    assert (address.kind, list(address.nodes), dict(address.options)) == (kind, nodes, options)


@pytest.mark.parametrize(
    "url",
    [
        "sentinel://:pw@a:1;b:2/mymaster/3?sentinel_password=sp",
        "sentinel://:pw@a:1;sentinel://:pw@b:2/3?master_name=mymaster&sentinel_password=sp",
        "sentinel://a:1;b:2/mymaster?db=3&password=pw&sentinel_password=sp",
    ],
)
def test_sentinels(url: str) -> None:
    """The service stands in the path or in the query, and the database too."""
    address = parse(url)
    assert (address.kind, address.nodes, address.service) == (Kind.SENTINEL, (("a", 1), ("b", 2)), "mymaster")
    assert dict(address.options) == {"db": 3, "password": "pw"}
    assert dict(address.sentinel_options) == {"password": "sp"}
    assert "pw" not in address.shown
    assert "=sp" not in address.shown


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://host/x", "databases are numbers"),
        ("redis://a;b/0", "several servers"),
        ("redis://host:port/0", "is not a URL"),
        ("redis://:pa/ss@host/0", "percent-encode"),
        ("redis://host/0?colour=red", "'colour'"),
        ("redis://host/0?socket_timeout=soon", "is not a URL"),
        ("redis+cluster://host/2", "a cluster has only 0"),
        ("sentinel://host", "does not name one service"),
        ("unix://", "names no socket"),
        ("redis+pipes://host", "does not know"),
    ],
)
def test_refused(url: str, said: str) -> None:
    """What cannot be used is refused at once, with what is wrong."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        RedisStore(url)
    assert "ss@host" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://ann:s3cret@host/0",
        "redis://:s3cret@host/0",
        "redis://host/0?password=s3cret",
        "rediss://host/0?ssl_password=s3cret",
        "unix://ann:s3cret@/run/redis.sock",
        "redis+cluster://:s3cret@a:1;b:2",
        "sentinel://:s3cret@a:1;:s3cret@b:2/mymaster?sentinel_password=s3cret",
        "redis://:s3cret@host/0?colour=red",
        "redis://:s3cret@host:x/0",
    ],
)
def test_passwords_are_hidden(url: str) -> None:
    """No password is in the address that is shown, nor in an error."""
    try:
        shown = RedisStore(url).url
    except ConfigurationError as error:
        shown = str(error) + str(error.facts)
    assert "s3cret" not in shown
    assert "://" in shown


@pytest.mark.parametrize(
    "scheme", ["redis", "rediss", "valkey", "valkeys", "redis+cluster", "rediss+cluster", "sentinel", "unix", "redis+socket"]
)
def test_found(scheme: str) -> None:
    """Each scheme is found as an entry point, and connects to nothing yet."""
    place = {"sentinel": "host/mymaster", "unix": "/run/redis.sock", "redis+socket": "/run/redis.sock"}.get(scheme, "host")
    assert isinstance(open_store(f"{scheme}://{place}", key_prefix="cp:", table_prefix="cp_"), RedisStore)


def test_prefix() -> None:
    """A prefix with a brace would decide about the slot of each key, and is refused."""
    with pytest.raises(ConfigurationError, match="brace"):
        RedisStore("redis://host", key_prefix="{cp}:")
