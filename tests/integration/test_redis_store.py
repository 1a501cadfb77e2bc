"""What is Redis's own: scripts that are forgotten, forks, secrets, warnings, and other ways to a server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis import ConnectionError as RedisConnectionError
from redis import Redis

from celery_process.exceptions import AccessDenied, CannotJoin, ConfigurationError, StoreUnavailable
from celery_process.protocol.model import Retention, RunSpec, SlotRef
from celery_process.protocol.reports import ItemReport, Totals
from celery_process.protocol.states import Again, ClaimAnswer, Progress, RunState, WorkList, WorkState
from celery_process.stores.redis import RedisStore, server

pytestmark = pytest.mark.server("redis")

LEASE = timedelta(seconds=30)


class Forgetful(RedisStore):
    """A store whose server has forgotten all scripts before each call."""

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name not in ("url", "shared", "close"):
            client = super().__getattribute__("_client")
            client.tried("forget", lambda server: server.script_flush())
        return super().__getattribute__(name)


def whole_run(store: RedisStore) -> None:
    """Work a run of three items off, one of them a cleanup, and purge it."""
    process = f"p-{uuid4().hex[:8]}"
    store.register(process, {"a": "{}", "b": "{}"})
    store.unregister(process, ["c"])
    now = store.now()
    claim = store.claim_run(process, uuid="u", slot=SlotRef(now, now), spec=RunSpec(), again=Again.NEVER, by="")
    assert claim.run is not None
    run = claim.run.id
    while names := store.open_page(process, run, token=uuid4().hex, size=500, window=1000).names:
        claims = store.claim(process, run, names, token="t", lease=LEASE, max_attempts=3)
        assert {one.answer for one in claims} == {ClaimAnswer.CLAIMED}
        reports = [ItemReport(name, 1, Totals({"x": 1}), 0, 0, WorkState.COMPLETED) for name in names]
        reported = store.report(process, run, reports, token="t", lease=LEASE)
        assert {item.progress for item in reported.items} == {Progress.COMPLETED}
    closed = store.run(process, run)
    assert (closed.state, closed.stats["work.x"]) == (RunState.COMPLETED, 3)
    assert store.begin_sweep([process, "other"], interval=LEASE, grace=timedelta(0))[0].unnotified == (run,)
    assert store.purge(process, retention=Retention(runs=0, runs_with_items=0, dropped=0, slots=0), limit=100) == 3


def test_not_utf8(redis_url: str) -> None:
    """A name that UTF-8 cannot hold is one that no run has, whichever of the driver's parsers is there."""
    store = RedisStore(redis_url, key_prefix=f"cp-{uuid4().hex[:8]}:")
    names = ["a", "\ud800"]
    claims = store.claim("p", "1-\udfff", names, token="t", lease=LEASE, max_attempts=3)
    assert [(one.name, one.answer) for one in claims] == [(name, ClaimAnswer.CONFLICT) for name in names]
    store.close()


class TestScripts:
    """Scripts are known by their digest, and come back where they are not."""

    def test_forgotten(self, start_valkey: Callable[..., str]) -> None:
        """A server that forgets its scripts at any time is given them again."""
        store = Forgetful(start_valkey())
        whole_run(store)
        store.close()

    def test_without_flags(self, redis_url: str) -> None:
        """The scripts work without their first line too, which Redis 6.2 does not know."""
        store = RedisStore(redis_url, key_prefix=f"bare-{uuid4().hex[:8]}:")
        store.now()
        store._client._bare = True
        whole_run(store)
        store.close()

    def test_a_missing_driver(self) -> None:
        """Without the driver the error has the pip command."""
        code = (
            "import sys; sys.modules['redis'] = None\n"
            "from celery_process.stores import open_store\n"
            "try:\n    open_store('redis://:secret@h')\nexcept Exception as error:\n    print(error)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        assert "pip install 'celery-process[redis]'" in done.stdout
        assert "secret" not in done.stdout


class TestConnection:
    """Forks, outages and secrets."""

    @pytest.mark.forks
    def test_fork(self, redis_url: str) -> None:
        """A forked child has a connection of its own, and leaves its parent's alone."""
        store = RedisStore(redis_url, key_prefix=f"fork-{uuid4().hex[:8]}:")
        store.register("p", {"a": "{}"})
        mine = store._client._redis
        child = os.fork()
        if child == 0:  # no test may go on in the child, whatever happens
            try:
                ok = store.register("p", {"b": "{}"}) == ("b",) and store._client._redis is not mine
                os._exit(0 if ok else 1)
            except BaseException:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        assert store.work_counts("p")[WorkList.ACTIVE] == 2
        assert store._client._redis is mine
        store.close()

    def test_out_of_reach(self) -> None:
        """A server that is not there is tried five times, and the error names the operation."""
        store = RedisStore("redis://ann:secret@127.0.0.1:1/0?socket_connect_timeout=1")
        with pytest.raises(StoreUnavailable, match="5 of 5 tries") as caught:
            store.register("p", {"a": "{}"})
        assert caught.value.operation == "register"
        assert "secret" not in str(caught.value)

    def test_closed(self, redis_url: str) -> None:
        """A closed store opens again with its next operation."""
        store = RedisStore(redis_url)
        store.now()
        for _ in range(2):
            store.close()
        assert store.now().tzinfo is not None
        store.close()

    def test_secrets(self, start_valkey: Callable[..., str]) -> None:
        """No password is in the address or in an error; with the right one the store works."""
        url = start_valkey(requirepass="s3cret")
        store = RedisStore(url)
        whole_run(store)
        assert "s3cret" not in store.url
        wrong = RedisStore(url.replace("s3cret", "wr0ng"))
        with pytest.raises(AccessDenied, match="user and password") as caught:
            wrong.check()
        assert "wr0ng" not in str(caught.value) + wrong.url + repr(wrong)
        store.close()

    def test_using(self, redis_url: str) -> None:
        """A transaction of a database cannot be joined; the error says what to do instead."""
        store = RedisStore(redis_url)
        with pytest.raises(CannotJoin, match="on-commit hook"):
            store.register("p", {"a": "{}"}, using=object())
        store.close()


class TestCheck:
    """`check`."""

    def warnings(self, url: str) -> tuple[str, ...]:
        store = RedisStore(url)
        try:
            return tuple(map(str, store.check()))
        finally:
            store.close()

    def test_good(self, start_valkey: Callable[..., str]) -> None:
        """A server that keeps what it is given brings no warning."""
        assert self.warnings(start_valkey(appendonly="yes", maxmemory_policy="noeviction")) == ()

    def test_append_only(self, start_valkey: Callable[..., str]) -> None:
        """A server that forgets at a restart brings one, unless that is meant."""
        url = start_valkey()
        [warning] = self.warnings(url)
        assert "appendonly no" in warning
        assert self.warnings(url + "?volatile_store=true") == ()

    def test_eviction(self, start_valkey: Callable[..., str]) -> None:
        """A server that deletes keys when it is full brings one."""
        [warning] = self.warnings(start_valkey(appendonly="yes", maxmemory_policy="allkeys-lru"))
        assert "maxmemory-policy allkeys-lru" in warning

    def test_replicas(self, start_valkey: Callable[..., str]) -> None:
        """A server with replicas brings one that says what a failover can lose."""
        url = start_valkey(appendonly="yes")
        start_valkey(replicaof=f"127.0.0.1 {url.rpartition(':')[2].partition('/')[0]}")
        with Redis.from_url(url) as client:
            until(lambda: client.info("replication")["connected_slaves"] == 1, "the replica did not come")
        [warning] = self.warnings(url)
        assert "failover" in warning

    def test_forbidden(self, start_valkey: Callable[..., str]) -> None:
        """An account that may not ask is told what could not be checked, and one without scripts is refused."""
        url = start_valkey()
        with Redis.from_url(url) as client:
            client.acl_setuser(
                "ann", enabled=True, passwords=["+x"], keys=["cp:*"], categories=["+@all"], commands=["-info"]
            )
            client.acl_setuser("bob", enabled=True, passwords=["+x"], keys=["cp:*"], commands=["+ping", "+info"])
        assert all("could not be checked" in warning for warning in self.warnings(url.replace("://", "://ann:x@")))
        with pytest.raises(AccessDenied, match="NoPermission"):
            self.warnings(url.replace("://", "://bob:x@"))

    def test_least_privilege(self, start_valkey: Callable[..., str]) -> None:
        """An account that may use the store's keys and commands alone is enough."""
        url = start_valkey()
        commands = ["+ping", "+time", "+eval", "+evalsha", "+info"]
        with Redis.from_url(url) as client:
            client.acl_setuser(
                "ann", enabled=True, passwords=["+x"], keys=["cp:*"], categories=["+@read", "+@write"], commands=commands
            )
        store = RedisStore(url.replace("://", "://ann:x@"))
        store.check()
        whole_run(store)
        store.update_settings("p", settings=None, schedule="60")
        assert store.schedules() == {"p": "60"}
        store.close()

    def test_too_old(self, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A server older than the oldest that serves is refused with what to do."""
        monkeypatch.setattr(server, "OLDEST", (99, 0))
        with pytest.raises(ConfigurationError, match="upgrade the server"):
            self.warnings(redis_url)


def test_history_of_older_keys(redis_url: str) -> None:
    """Where settings were stored before there was a history, it begins with those in force."""
    prefix = f"older-{uuid4().hex[:8]}:"
    store = RedisStore(redis_url, key_prefix=prefix)
    for number in range(3):
        store.update_settings("p", settings=f'{{"n":{number}}}', schedule=None, by="ann")
    with Redis.from_url(redis_url) as client:
        assert client.delete(f"{prefix}{{p}}:versions") == 1
    assert store.settings_history("p", limit=9) == (store.overrides("p"),)
    before = store.overrides("p")
    assert store.update_settings("p", settings="{}", schedule=None) == 4
    assert store.settings_history("p", limit=9) == (store.overrides("p"), before)
    store.close()


def port_of(url: str) -> int:
    """Return the port in a URL."""
    return int(url.rpartition(":")[2].partition("/")[0])


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def answers(call: Callable[[], object]) -> bool:
    """Whether the store is within reach."""
    with suppress(StoreUnavailable):
        call()
        return True
    return False


def is_replicated(info: Mapping[str, Any]) -> bool:
    """Whether the one replica of a server has all that it has."""
    return info["connected_slaves"] == 1 and info["slave0"]["offset"] == info["master_repl_offset"]


def knows_replica(sentinel: int, replica: int) -> bool:
    """Whether a sentinel would take that server in place of its primary."""
    with Redis(port=sentinel, decode_responses=True) as client:
        return any(found["port"] == replica and found["flags"] == "slave" for found in client.sentinel_slaves("mymaster"))


class TestAddresses:
    """Other ways to a server than a host and a port."""

    def test_socket(self, start_valkey: Callable[..., str], tmp_path: Path) -> None:
        """A server is reached by its socket."""
        start_valkey(unixsocket=str(tmp_path / "s"))
        store = RedisStore(f"unix://{tmp_path}/s?db=1")
        whole_run(store)
        store.close()

    def test_sentinel(self, start_valkey: Callable[..., str], start_sentinel: Callable[[str], int]) -> None:
        """A server is found by the sentinel that watches it."""
        store = RedisStore(f"sentinel://127.0.0.1:{start_sentinel(start_valkey())};127.0.0.1:1/mymaster/0")
        whole_run(store)
        assert any("appendonly" in warning.text for warning in store.check())
        store.close()

    def test_failover(self, start_valkey: Callable[..., str], start_sentinel: Callable[[str], int]) -> None:
        """The primary dies in mid-run: the sentinel makes the replica one, and the run ends there, counted once."""
        primary = start_valkey()
        replica = start_valkey(replicaof=f"127.0.0.1 {port_of(primary)}")
        port = start_sentinel(primary)
        store = RedisStore(f"sentinel://127.0.0.1:{port}/mymaster/0?socket_timeout=1&socket_connect_timeout=1")
        names = [f"n{number:02}" for number in range(20)]
        store.register("p", dict.fromkeys(names, "{}"))
        now = store.now()
        claim = store.claim_run("p", uuid="u", slot=SlotRef(now, now), spec=RunSpec(), again=Again.NEVER, by="")
        assert claim.run is not None
        run = claim.run.id
        store.open_page("p", run, token="page", size=500, window=1000)
        store.claim("p", run, names, token="t", lease=timedelta(minutes=5), max_attempts=3)
        reports = [ItemReport(name, 1, Totals({"x": 1}), 0, 0, WorkState.COMPLETED, attempt=1) for name in names]
        store.report("p", run, reports[:8], token="t", lease=LEASE)
        until(lambda: knows_replica(port, port_of(replica)), "the sentinel to know the replica")
        with Redis(port=port_of(primary)) as client:
            # What is not replicated a failover may lose, as `check` says.
            until(lambda: is_replicated(client.info("replication")), "the replica to have it all")
            with suppress(RedisConnectionError):
                client.shutdown(nosave=True)

        until(lambda: answers(lambda: store.report("p", run, reports, token="t", lease=LEASE)), "the failover")
        closed = store.open_page("p", run, token="next", size=500, window=1000).run
        assert closed is not None
        assert (closed.state, closed.stats["work.x"], closed.stats["workItems"]) == (RunState.COMPLETED, 20, 20)
        with Redis(port=port_of(replica)) as client:
            assert client.info("replication")["role"] == "master"
        store.close()

    def test_tls(self, tls_redis: tuple[str, Path]) -> None:
        """A server that speaks TLS is used where its certificate is trusted, and refused where it is not."""
        url, signed = tls_redis
        store = RedisStore(f"{url}?ssl_ca_certs={signed}&ssl_cert_reqs=required")
        whole_run(store)
        store.close()
        for strange in (url, f"redis://{url.partition('://')[2]}"):
            store = RedisStore(f"{strange}?socket_timeout=2")
            with pytest.raises(StoreUnavailable):
                store.now()
            store.close()

    def test_cluster(self, redis_cluster_url: str) -> None:
        """Processes spread over the servers of a cluster, and one round trip a server asks about all of them."""
        store = RedisStore(redis_cluster_url, key_prefix=f"cluster-{uuid4().hex[:8]}:")
        names = [f"p{number}" for number in range(300)]
        for name in names[:20]:
            store.update_settings(name, settings=None, schedule="60")
        now = store.now()
        store.claim_run("p7", uuid="u", slot=SlotRef(now, now), spec=RunSpec(), again=Again.ALWAYS, by="")
        assert [target.process for target in store.begin_sweep(names, interval=LEASE, grace=LEASE)] == ["p7"]
        assert sorted(store.schedules()) == sorted(names[:20])
        assert any("appendonly" in warning.text for warning in store.check())
        whole_run(store)
        store.close()
