"""Who may send requests: Flower's users where it has a login; else anybody, but not through another site or a foreign name.

A page of another site can send requests here from its reader's browser, and a domain of its owner that resolves to this
address (DNS rebinding) makes it same-site with this Flower. `Sec-Fetch-Site` reveals the first, `Host` the second.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from flower.utils import strtobool
from tornado import web

from celery_process.config import read_config

PAGE_HEADER = "X-Celery-Process"
"""The header that our pages' script sends. Another site's script cannot: our answer to its preflight allows nothing."""
CLOSED = (
    "JSON without Flower's login is for its own pages; start Flower with --basic_auth or --auth, or set "
    "FLOWER_UNAUTHENTICATED_API=true, which opens the actions too."
)


def is_guarded(options: Any) -> bool:
    """Return whether this Flower has a login, so that it knows its users."""
    return bool(options.basic_auth or options.auth)


def is_open_to_all() -> bool:
    """Return whether Flower's API is open to everybody who can reach it."""
    return bool(strtobool(os.environ.get("FLOWER_UNAUTHENTICATED_API") or "false"))


def refuse_strangers(handler: Any, *, acts: bool) -> None:
    """Raise 403 for a request that another site sent and, where there is no login, for a foreign host name."""
    request, options = handler.request, handler.application.options
    guarded = is_guarded(options)
    navigates = request.headers.get("Sec-Fetch-Mode") == "navigate" and request.method in ("GET", "HEAD")
    if (acts or not (guarded or navigates)) and _is_cross_site(request):
        raise web.HTTPError(403, "Cross-site request forbidden")
    if not guarded and not is_own_host(request.host, options.address, read_config(handler.application.capp).flower_hosts):
        raise web.HTTPError(
            403,
            f"{request.host!r:.80} is not a name of this Flower, which has no login; add it to process_flower_hosts, or "
            "start Flower with --basic_auth or --auth.",
        )


def is_own_host(host: str, bound: str, more: Collection[str]) -> bool:
    """Return whether a Host header names this server, and not a foreign domain that resolves to it.

    Own are addresses, names without a dot, which nobody can register, `*.localhost`, the address that Flower is bound to,
    this machine's name, and `more`: names, `.example.org` for all names below it, or `*`.
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if "." not in name or name.endswith(".localhost") or _is_address(name):
        return True
    known = {bound, socket.gethostname(), *more}
    return "*" in known or any(_matches(name, one.lower()) for one in known if one)


def _matches(name: str, known: str) -> bool:
    return name == known or (known.startswith(".") and (name.endswith(known) or name == known[1:]))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_cross_site(request: Any) -> bool:
    """Return whether a browser sent a request for another site's page; browsers send one of two headers, programs none."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        return site not in ("same-origin", "none")
    return origin is not None and urlsplit(origin).netloc != request.host
