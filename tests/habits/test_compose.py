"""compose.yaml and its Dockerfile agree with the project that they start."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "example_project"
COMPOSED: dict[str, Any] = yaml.safe_load((EXAMPLE / "compose.yaml").read_text())["services"]
OURS = {name: service for name, service in COMPOSED.items() if "build" in service}
DOCKERFILE = (EXAMPLE / "Dockerfile").read_text()


def test_the_services_are_those_of_the_demonstration():
    """A database, a broker, and what `manage.py demo` does: seed, then web, worker and beat."""
    assert set(COMPOSED) == {"database", "broker", *OURS}
    assert set(OURS) == {"seed", "web", "worker", "beat"}


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_built_from_the_top_folder_by_the_dockerfile(name):
    """Context and Dockerfile of a service are there, seen from compose.yaml, and all services share the image."""
    build = OURS[name]["build"]
    assert (EXAMPLE / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).resolve() == EXAMPLE / "Dockerfile"
    assert OURS[name]["image"] == OURS["seed"]["image"]


@pytest.mark.parametrize("name", OURS)
def test_the_settings_read_what_a_service_is_given(name):
    """Each variable is one that the settings read, and its URL names a service and the user made there."""
    given = OURS[name]["environment"]
    read = set(re.findall(r"EXAMPLE_\w+", (EXAMPLE / "access" / "settings.py").read_text()))
    assert set(given) <= read
    assert {re.search(r"@(\w+):", url)[1] for url in given.values()} == {"database", "broker"}
    made = COMPOSED["database"]["environment"]
    expected = "postgresql://{POSTGRES_USER}:{POSTGRES_PASSWORD}@database:5432/{POSTGRES_DB}".format(**made)
    assert given["EXAMPLE_DATABASE_URL"] == expected


@pytest.mark.parametrize("name", OURS)
def test_the_command_of_a_service_is_there(name):
    """A command runs manage.py with a command that exists, or Celery on the package that has the app."""
    program, *rest = OURS[name]["command"]
    assert program == "python"
    if rest[0] == "-m":
        assert rest[1:5] == ["celery", "-A", "example_project.access", name]
        assert (EXAMPLE / "access" / "celery.py").exists()
    else:
        assert (ROOT / rest[0]).exists()
        assert rest[1] == "runserver" or (EXAMPLE / "access" / "management" / "commands" / f"{rest[1]}.py").exists()


def test_everybody_waits_for_what_they_need():
    """Seeding waits for healthy servers, the others for its end; what is waited for as healthy has a check."""
    assert {name: wanted["condition"] for name, wanted in COMPOSED["seed"]["depends_on"].items()} == {
        "database": "service_healthy",
        "broker": "service_healthy",
    }
    assert all("healthcheck" in COMPOSED[name] for name in COMPOSED["seed"]["depends_on"])
    for name in ("web", "worker", "beat"):
        assert OURS[name]["depends_on"] == {"seed": {"condition": "service_completed_successfully"}}


def test_the_page_is_for_this_machine_alone():
    """The web server's port is published on the loopback, since everybody knows its password."""
    assert COMPOSED["web"]["ports"] == ["127.0.0.1:8000:8000"]
    assert not any("ports" in service for name, service in COMPOSED.items() if name != "web")


def test_the_dockerfile_copies_and_installs_what_there_is():
    """What it copies is in the repository, what a build of the package needs among it; its extras are the package's."""
    copied = {name for line in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()}
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"pyproject.toml", "celery_process", "example_project", project["readme"], *project["license-files"]} <= copied
    extras = re.search(r"'\.\[(.+)\]'", DOCKERFILE)[1].split(",")
    assert set(extras) <= set(project["optional-dependencies"])
    assert {"django", "django-celery-beat", "postgresql"} <= set(extras)
    version = re.search(r"FROM python:(\S+)-slim", DOCKERFILE)[1]
    assert f"Programming Language :: Python :: {version}" in project["classifiers"]
