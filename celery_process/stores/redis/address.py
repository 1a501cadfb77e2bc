"""The address of a Redis store: what a URL may be, and what is displayed of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from redis.connection import parse_url

from celery_process.exceptions import ConfigurationError
from celery_process.text.masking import is_secret, scheme_only

PORT, SENTINEL_PORT = 6379, 26379
_SCHEMES = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss"}
_SOCKETS = ("unix", "redis+socket", "valkey+socket", "redis+unix", "valkey+unix")
_HIDDEN = "***"
_NODE = re.compile(r"[\w.\-]*(:\d+)?|\[[0-9A-Fa-f:.%]+\](:\d+)?")
_OWN = ("volatile_store", "master_name", "service_name", "sentinel_username", "sentinel_password", "virtual_host")
_PASSED_ON = (
    "username",
    "password",
    "db",
    "client_name",
    "socket_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "health_check_interval",
    "max_connections",
)
_CERT_REQS = {"CERT_NONE": "none", "CERT_OPTIONAL": "optional", "CERT_REQUIRED": "required"}


class Kind(Enum):
    """How the server is found."""

    SINGLE = "one server"
    SENTINEL = "the primary that sentinels name"
    CLUSTER = "a cluster"


@dataclass(frozen=True, slots=True)
class Address:
    """A checked URL. `shown` has no password; `options` go to the client."""

    kind: Kind
    shown: str
    nodes: tuple[tuple[str, int], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    service: str = ""
    sentinel_options: Mapping[str, Any] = field(default_factory=dict)
    volatile: bool = False


def parse(text: str) -> Address:
    """Return the address of a URL, or raise `ConfigurationError`."""
    try:
        return _parse(text)
    except ValueError as error:
        if isinstance(error, ConfigurationError):
            raise
        # The parser's message may hold a part of the URL, so neither it nor the text is repeated.
        raise _refuse(scheme_only(text), "is not a URL; write redis://user:password@host:port/0") from None


def _parse(text: str) -> Address:
    scheme, _, rest = text.partition("://")
    # The nodes of sentinels may each have a scheme, as kombu writes them.
    rest = rest.replace(f"{scheme}://", "")
    url = urlsplit(f"//{rest}", allow_fragments=False)
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    if _is_cut_password(url, scheme):
        raise _refuse(scheme_only(text), "has an '@' after a '/' or a '?'; percent-encode what is in the password")
    shown = _shown(scheme, url, query)
    family, _, form = scheme.partition("+")
    if scheme_only(text) != f"{scheme}://…":
        raise ValueError
    clustered = form == "cluster" and family in _SCHEMES
    if scheme not in (*_SCHEMES, *_SOCKETS, "sentinel") and not clustered:
        raise _refuse(shown, f"is for {scheme!r:.40}, which the Redis store does not know; use redis:// or rediss://")
    options = _options(query, shown)
    options |= {name: unquote(value) for name, value in _login(url).items()}
    volatile = query.get("volatile_store", "").lower() in ("true", "1", "yes")
    if scheme in _SOCKETS:
        # redis+socket://a/b and redis+socket:///a/b name different files.
        path = unquote(url.netloc.rpartition("@")[2] + url.path)
        if not path:
            raise _refuse(shown, "names no socket; write unix:///path/to/redis.sock")
        options |= {"path": path, "db": options.get("db", _number(query.get("virtual_host", "0").strip("/"), shown))}
        return Address(Kind.SINGLE, shown, options=options, volatile=volatile)
    secure = scheme.startswith(("rediss", "valkeys"))
    if scheme == "sentinel":
        return _sentinel(url, query, options, shown, volatile=volatile)
    nodes = _nodes(url, PORT)
    path = unquote(url.path).strip("/")
    if secure:
        options["ssl"] = True
    if clustered:
        if (path or str(options.pop("db", 0))) not in ("0", ""):
            raise _refuse(shown, "names a database, and a cluster has only 0; leave it out")
        options.pop("db", None)
        return Address(Kind.CLUSTER, shown, nodes, options, volatile=volatile)
    if len(nodes) > 1:
        raise _refuse(shown, "names several servers; use sentinel:// or redis+cluster:// for those")
    options.setdefault("db", _number(path or "0", shown))
    return Address(Kind.SINGLE, shown, nodes, options, volatile=volatile)


def _sentinel(url: SplitResult, query: Mapping[str, str], options: dict[str, Any], shown: str, *, volatile: bool) -> Address:
    parts = [part for part in unquote(url.path).split("/") if part]
    numbers = [part for part in parts if part.isdigit()]
    names = [part for part in parts if not part.isdigit()]
    service = query.get("master_name") or query.get("service_name") or next(iter(names), "")
    if not service or len(names) > 1 or len(numbers) > 1:
        raise _refuse(shown, "does not name one service; write sentinel://host:26379;host:26379/service/0")
    options.setdefault("db", int(numbers[0]) if numbers else 0)
    login = {
        name: query[f"sentinel_{name}"] for name in ("username", "password") if query.get(f"sentinel_{name}") is not None
    }
    timeouts = {name: value for name, value in options.items() if name.startswith("socket_")}
    return Address(
        Kind.SENTINEL, shown, _nodes(url, SENTINEL_PORT), options, service, {**timeouts, **login}, volatile=volatile
    )


def _is_cut_password(url: SplitResult, scheme: str) -> bool:
    """Return whether the rest of a login ends in the path or the query, since its password has a '/', '?' or '#'."""
    options = (option.partition("=") for option in url.query.split("&"))
    in_path = "@" in url.path and (scheme not in _SOCKETS or ":" in url.netloc)
    return in_path or any("@" in name or ("@" in value and not is_secret(name)) for name, _, value in options)


def _options(query: Mapping[str, str], shown: str) -> dict[str, Any]:
    passed = {
        name: _CERT_REQS.get(value, value)
        for name, value in query.items()
        if name in _PASSED_ON or (name.startswith("ssl_") and name.isidentifier())
    }
    unknown = sorted(query.keys() - passed.keys() - set(_OWN) - {"ssl"})
    if any(not query[name] for name in unknown):  # the rest of a password that has a '&'
        raise _refuse(scheme_only(shown), "has an option without a value; percent-encode what is in the password")
    if unknown:
        raise _refuse(shown, f"has the option {unknown[0]!r:.40}, which the Redis store does not know; remove it")
    typed: dict[str, Any] = parse_url(f"redis://?{urlencode(passed)}")  # type: ignore[no-untyped-call]
    typed.pop("connection_class", None)
    if query.get("ssl", "").lower() in ("true", "1", "yes"):
        typed["ssl"] = True
    return typed


def _login(url: SplitResult) -> dict[str, str]:
    user, _, password = url.netloc.split(";")[0].rpartition("@")[0].partition(":")
    return {name: value for name, value in (("username", user), ("password", password)) if value}


def _nodes(url: SplitResult, port: int) -> tuple[tuple[str, int], ...]:
    nodes = []
    for part in url.netloc.replace(",", ";").split(";"):
        node = urlsplit(f"//{part.rpartition('@')[2]}")
        nodes.append((node.hostname or "localhost", node.port or port))
    return tuple(nodes)


def _number(text: str, shown: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise _refuse(shown, f"has {text!r:.40} for a database; databases are numbers, as in redis://host:6379/0")
    return int(text)


def _shown(scheme: str, url: SplitResult, query: Mapping[str, str]) -> str:
    nodes = []
    for part in url.netloc.split(";"):
        login, at, node = part.rpartition("@")
        user, colon, _ = login.partition(":")
        if not _NODE.fullmatch(node):  # half of a password that has a ';' or a ','
            return f"{scheme}://…"
        nodes.append(f"{user}{colon}{_HIDDEN if colon else ''}{at}{node}")
    hidden = urlencode(
        {name: _HIDDEN if is_secret(name) else value for name, value in query.items()}, safe="*/", quote_via=quote
    )
    return f"{scheme}://{';'.join(nodes)}{url.path}" + (f"?{hidden}" if hidden else "")


def _refuse(shown: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"process_backend {shown!r} {why}.", setting="process_backend", value=shown)
