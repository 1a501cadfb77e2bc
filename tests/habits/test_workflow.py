"""The workflow of continuous integration: what it may do, and what it runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.name)
def workflow(request: pytest.FixtureRequest) -> dict[str, Any]:
    return yaml.safe_load(request.param.read_text(encoding="utf-8"))


def test_it_may_only_read(workflow: dict[str, Any]) -> None:
    """The token reads the repository and nothing else, in each job; what is checked out does not keep it."""
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job.get("permissions", {"contents": "read"}) == {"contents": "read"}
        for step in job["steps"]:
            if "actions/checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned(path: Path) -> None:
    """Each action is named by a commit, with its version beside it."""
    used = re.findall(r"uses: *(.+)", path.read_text(encoding="utf-8"))
    assert used
    assert [line for line in used if not re.fullmatch(r"[\w-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_servers_have_versions_and_are_waited_for(workflow: dict[str, Any]) -> None:
    """The image of each server has a full version, and a check for which its job waits; each is named to the tests."""
    for job in workflow["jobs"].values():
        servers = job["services"]
        for name, server in servers.items():
            assert re.fullmatch(rf"{name}:\d+\.\d+(\.\d+)?", server["image"])
            assert "--health-cmd" in server["options"]
            (port,) = server["ports"]
            assert any(f":{port.partition(':')[0]}/" in url for url in workflow["env"].values()), name


def test_each_job_of_every_change_has_all_servers() -> None:
    """No test has to be skipped for want of a server."""
    jobs = yaml.safe_load((FOLDER / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    assert all(set(job["services"]) == {"postgres", "mariadb", "redis", "rabbitmq"} for job in jobs.values())


def test_no_job_is_without_end(workflow: dict[str, Any]) -> None:
    """Each job has a limit in time."""
    assert all(job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())
