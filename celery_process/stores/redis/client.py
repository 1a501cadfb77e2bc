"""The connection: scripts called by their digest, tried again where that helps. One client an operating-system process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import NoScriptError
from redis.retry import Retry
from redis.sentinel import Sentinel

from celery_process.forks import renew_in_children
from celery_process.instants import to_us
from celery_process.stores.redis.address import Address, Kind
from celery_process.stores.redis.keys import process_key, schedules_key, started_key
from celery_process.stores.redis.retry import DRIVER, FAILURES, is_lost
from celery_process.stores.redis.scripts import Script, Text, script
from celery_process.stores.retry import ANSWER_TIMEOUT, CONNECT_TIMEOUT, Failure, retried, store_error

Clock = Callable[[], datetime]
Result = TypeVar("Result")

BATCH = 250
"""Scripts that one round trip carries at most."""
FLAGS_SINCE = (7, 0)
"""The first Redis that reads the line `#!lua` of a script."""

_DEFAULTS: dict[str, Any] = {
    "socket_timeout": ANSWER_TIMEOUT,
    "socket_connect_timeout": CONNECT_TIMEOUT,
    "socket_keepalive": True,
    "health_check_interval": 30,
}
_SENTINELS = {"socket_timeout": 2, "socket_connect_timeout": 2}
OWN_RETRY_SINCE = 6
"""The first redis-py whose cluster client takes its own tries from `retry`; before, that is for its connections."""
# Names are checked and texts come as they are; what Python can hold and UTF-8 cannot is not to fail in the driver.
_CODEC: dict[str, Any] = {"decode_responses": True, "encoding_errors": "surrogatepass", "protocol": 2}


class Client:
    """Calls scripts on the server of an address. Nothing connects before the first call."""

    def __init__(self, address: Address, *, prefix: str, clock: Clock | None) -> None:
        self.address = address
        self.prefix = prefix
        self.clock = clock
        self._redis: Any = None
        self._pid = 0
        self._bare: bool | None = None
        self.after_fork()
        renew_in_children(self)

    def after_fork(self) -> None:
        """Make the lock anew. The parent's connections are not closed, and are replaced at the first call."""
        self._lock = threading.Lock()

    @property
    def schedules(self) -> str:
        """The key of the set of processes that may have a stored schedule."""
        return schedules_key(self.prefix)

    @property
    def started(self) -> str:
        """The key of the set of processes that may have an open run."""
        return started_key(self.prefix)

    def call(self, operation: str, name: str, process: str, *args: Any) -> Any:
        """Return what a script answers for a process. Raises `StoreUnavailable` with the operation."""
        return self.call_at(operation, name, process, self._time(), *args)

    def call_at(self, operation: str, name: str, process: str, *args: Any) -> Any:
        """Return the answer of a script whose first argument is the time, in microseconds."""
        sent, key = script(name), process_key(self.prefix, process)
        return self.tried(operation, lambda server: self._evaluate(server, sent, key, args), process)

    def call_all(
        self, operation: str, name: str, calls: Sequence[tuple[str, tuple[Any, ...]]], *, corrupt: bool = False
    ) -> list[Any]:
        """Return what a script answers for each of several processes and arguments, many a round trip.

        With `corrupt`, each corrupt answer is returned as a `CorruptData`; else the first of them is raised.
        """
        sent, time, answers = script(name), self._time(), []
        for first in range(0, len(calls), BATCH):
            batch = [(process_key(self.prefix, process), (time, *args)) for process, args in calls[first : first + BATCH]]
            answers += self.tried(operation, lambda server, batch=batch: self._evaluate_all(server, sent, batch))  # type: ignore[misc]
        for place, ((process, _), answer) in enumerate(zip(calls, answers, strict=True)):
            if isinstance(answer, Exception):
                answers[place] = store_error(answer, DRIVER, operation=operation, url=self.address.shown, process=process)
                if not corrupt:
                    raise answers[place] from answer
        return answers

    def read_fields(self, operation: str, keys: Sequence[str], field: str) -> list[str | None]:
        """Return one field of several hashes, None of what is corrupt; one round trip, on a cluster one for each server."""

        def once(server: Any) -> list[str | None]:
            pipe = server.pipeline(transaction=False)
            for key in keys:
                pipe.hget(key, field)
            found = _whole(pipe.execute(raise_on_error=False))
            return [None if isinstance(value, Exception) else value for value in found]

        return self.tried(operation, once)

    def tried(self, operation: str, once: Callable[[Any], Result], process: str = "") -> Result:
        """Return the answer of `once` over the connection, retried where that helps."""

        def attempt() -> Result:
            server = self._connection()
            try:
                return once(server)
            except FAILURES as error:
                if is_lost(error):
                    self._drop(server)
                raise

        return retried(attempt, DRIVER, operation=operation, url=self.address.shown, process=process)

    def close(self) -> None:
        """Close the connections of this process; the next call opens them again."""
        with self._lock:
            client, own = self._redis, self._pid == os.getpid()
            self._redis = None
        if client is not None and own:
            client.close()

    def _drop(self, server: Any) -> None:
        """Have the next try make a connection: those that are idle may be lost as well, or lead to the same wrong server."""
        if self.address.kind is not Kind.CLUSTER:
            server.connection_pool.disconnect(inuse_connections=False)
            return
        with self._lock:
            if self._redis is server:
                self._redis = None

    def _time(self) -> str:
        return str(to_us(self.clock())) if self.clock is not None else ""

    def _connection(self) -> Any:
        client = self._redis
        if client is None or self._pid != os.getpid():
            with self._lock:
                # A forked child leaves its parent's sockets alone: it neither uses nor closes them.
                if self._redis is None or self._pid != os.getpid():
                    self._redis, self._pid, self._bare = connect(self.address), os.getpid(), None
                client = self._redis
        return client

    def _text(self, sent: Script) -> Text:
        return sent.bare if self._bare else sent.flagged

    def _evaluate(self, server: Any, sent: Script, key: str, values: Sequence[Any]) -> Any:
        try:
            return server.execute_command("EVALSHA", self._text(sent).sha, 1, key, *values)
        except NoScriptError:
            return self._load(server, sent, key, values)
        except UnicodeEncodeError:  # from hiredis, which does not ask the codec
            return self._evaluate(server, sent, key, [_encoded(value) for value in values])

    def _load(self, server: Any, sent: Script, key: str, values: Sequence[Any]) -> Any:
        if self._bare is None:
            self._bare = (version_of(server) or FLAGS_SINCE) < FLAGS_SINCE
        return server.execute_command("EVAL", self._text(sent).text, 1, key, *values)

    def _evaluate_all(self, server: Any, sent: Script, batch: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        pipe = server.pipeline(transaction=False)
        for key, values in batch:
            pipe.execute_command("EVALSHA", self._text(sent).sha, 1, key, *values)
        answers = pipe.execute(raise_on_error=False)
        for place, answer in enumerate(answers):
            if isinstance(answer, NoScriptError):
                # Once a server has the script, its digest is enough again.
                try:
                    answers[place] = self._evaluate(server, sent, *batch[place])
                except redis.ResponseError as error:
                    answers[place] = error
        return _whole(answers)


def _whole(answers: Sequence[Any]) -> list[Any]:
    """Return answers; raise an error among them that is not about corrupt data, which one process has and others not."""
    for answer in answers:
        if isinstance(answer, Exception) and DRIVER.failure(answer) is not Failure.CORRUPT:
            raise answer
    return list(answers)


def _encoded(value: Any) -> Any:
    return value.encode("utf-8", _CODEC["encoding_errors"]) if isinstance(value, str) else value


def connect(address: Address) -> Any:
    """Return a client. Retries are made here, for a whole operation, and not in the driver as well."""
    options = {**_DEFAULTS, **address.options, **_CODEC, "retry": Retry(NoBackoff(), 0)}
    if address.kind is Kind.CLUSTER:
        nodes = [ClusterNode(host, port) for host, port in address.nodes]  # type: ignore[no-untyped-call]
        # The driver follows moved slots within a try, and reads the new map after an error. Another try of its own
        # would wait once more for a node that does not answer.
        if int(redis.__version__.partition(".")[0]) < OWN_RETRY_SINCE:
            options["cluster_error_retry_attempts"] = 0
        return RedisCluster(startup_nodes=nodes, **options)
    if address.kind is Kind.SENTINEL:
        # Sentinels are asked one after the other, and each keeps no more than a few names.
        plain = {**_DEFAULTS, **_SENTINELS, **address.sentinel_options, "retry": options["retry"]}
        sentinel = Sentinel(address.nodes, sentinel_kwargs=plain, **options)  # type: ignore[no-untyped-call]
        return sentinel.master_for(address.service, redis.Redis)  # type: ignore[no-untyped-call]
    if "path" in options:
        return redis.Redis(unix_socket_path=options.pop("path"), **options)
    [(host, port)] = address.nodes
    return redis.Redis(host=host, port=port, **options)


def version_of(server: Any) -> tuple[int, ...] | None:
    """Return the version of Redis that a server speaks, or None where it may not be asked."""
    try:
        answer = server.info("server")
    except FAILURES as error:
        if isinstance(error, redis.ResponseError):
            return None
        raise
    for info in [answer] if "redis_version" in answer else answer.values():
        parts = str(info.get("redis_version", "")).split(".")
        if all(part.isdigit() for part in parts):
            return tuple(int(part) for part in parts)
    return None
