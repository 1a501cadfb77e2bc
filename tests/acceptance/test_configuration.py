"""What a worker says of its configuration: no password, and a refusal that tells what to do."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import create_engine, make_url, text

from .nodes import exit_of, say

SECRET = "planted-s3cret"


@pytest.fixture
def backend(postgresql_url):
    """Give the URL of a store whose user has a password."""
    server, role = create_engine(postgresql_url), f"cp_test_{uuid.uuid4().hex[:8]}"
    with server.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD '{SECRET}'"))
        connection.execute(text(f"GRANT CREATE, USAGE ON SCHEMA public TO {role}"))
    yield make_url(postgresql_url).set(username=role, password=SECRET).render_as_string(hide_password=False)
    with server.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {role}"))
        connection.execute(text(f"DROP ROLE {role}"))
    server.dispose()


def test_no_report_shows_the_password_of_the_store(celery_setup, processes, nodes, backend):
    """`celery report`, `celery inspect conf`, `process doctor` and all logs name the store and hide its password."""
    beat = nodes.beat()
    assert celery_setup.ready(control=True)
    shown = {
        "report": say(celery_setup.worker, "report"),
        "conf": say(celery_setup.worker, "inspect", "conf", "--json"),
        "doctor": say(celery_setup.worker, "process", "doctor", "--json"),
    }
    assert SECRET in backend
    for said in shown.values():
        assert said.status == 0, said.err
        assert SECRET not in said.out + said.err
    assert "process_backend" in shown["report"].out
    assert "process_backend" in shown["conf"].out
    assert SECRET not in celery_setup.worker.logs() + beat.logs()


class TestMemory:
    """`memory://` is one interpreter's."""

    @pytest.fixture
    def backend(self):
        return "memory://"

    @pytest.fixture
    def worker_options(self):
        return ("--pool=solo",)

    def test_a_worker_of_several_processes_refuses_it(self, celery_setup, nodes):
        """A prefork worker ends before its first message and says what to do; a solo worker takes `memory://`."""
        refused = nodes.worker("--pool=prefork", ready=False)
        log = exit_of(refused)
        assert "memory:// is seen by one operating-system process" in log
        assert "name a shared store in process_backend" in log
        assert "--pool=threads or solo" in log
        assert refused.container._container.wait()["StatusCode"] != 0
        assert "ready." in celery_setup.worker.logs()
