"""The server fixtures give servers that answer, and leave nothing behind."""

import pytest


@pytest.mark.server("postgresql")
def test_postgresql(postgresql_url: str) -> None:
    """The database is empty and encoded in UTF-8."""
    from sqlalchemy import create_engine, inspect, text

    engine = create_engine(postgresql_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT current_database()")).scalar_one().startswith("cp_test_")
        assert connection.execute(text("SHOW server_encoding")).scalar_one() == "UTF8"
    inspect(engine)
    engine.dispose()


@pytest.mark.server("mysql")
def test_mysql(mysql_url: str) -> None:
    """The database is empty, and not of a charset that would help."""
    from sqlalchemy import create_engine, inspect, text

    engine = create_engine(mysql_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT DATABASE()")).scalar_one().startswith("cp_test_")
        assert connection.execute(text("SELECT @@character_set_database")).scalar_one() == "latin1"
    inspect(engine)
    engine.dispose()


@pytest.mark.server("redis")
def test_redis(redis_url: str) -> None:
    """The server keeps what is written."""
    from redis import Redis

    with Redis.from_url(redis_url) as client:
        assert client.set("cp-test", "1", ex=60)
        assert client.get("cp-test") == b"1"
        client.delete("cp-test")


@pytest.mark.server("rabbitmq")
def test_rabbitmq(rabbitmq_url: str) -> None:
    """The virtual host takes a queue and a message."""
    from uuid import uuid4

    from kombu import Connection

    with Connection(rabbitmq_url) as connection:
        queue = connection.SimpleQueue(f"cp-test-{uuid4().hex}", queue_opts={"exclusive": True})
        queue.put("hello")
        assert queue.get(timeout=10).payload == "hello"
        queue.close()
