"""What Django's pages show of a process: with which permission, and what of it masked, as the table of readers says."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

from celery_process import Processes
from celery_process.monitor.secrets import TABLE, Fact, Reader

from .desk import Site

pytestmark = pytest.mark.parametrize("backend", ["django"], indirect=True)
NOUNS = ("process", "run", "slot", "work", "settings")
PAGES = ("change/", "live/", "items/", "runs/", "slots/", "settings/", "history/")


@pytest.fixture
def project(databases: Any, backend: str, planting: ModuleType) -> Iterator[Processes]:
    """Give a project with one process that has a secret in every fact, and both kinds of its pages."""
    from django.contrib import admin
    from django.test.utils import override_settings
    from django.urls import include, path

    urls = ModuleType("urls")
    urls.urlpatterns = [  # type: ignore[attr-defined]
        path("admin/", admin.site.urls),
        path("", include("celery_process.contrib.django.urls")),
    ]
    app = Celery(f"app-{uuid4().hex[:6]}", set_as_current=False)
    app.conf.task_always_eager = True
    registry = Processes(app, backend=backend)
    name = f"a-{uuid4().hex[:8]}"
    process = registry.process(name, schedule=3600, settings=planting.SETTINGS)(planting.handler)
    planting.plant(process)
    with override_settings(ROOT_URLCONF=urls):
        yield registry
    registry.store.close()


def everything(site: Site, planting: ModuleType) -> str:
    """Return all that the pages of the admin show to a user."""
    answers = [site.get(page) for page in PAGES]
    answers += [site.get(page, name=planting.NAME) for page in ("item/", "register/")]
    run = site.process.state().run
    answers.append(site.get(f"runs/{run.id if run else ''}/"))
    return "".join(answer.content.decode() for answer in answers if answer.status_code == 200)


@pytest.mark.parametrize("fact", Fact)
class TestEachCell:
    def test_of_the_admin(self, project: Processes, planting: ModuleType, fact: Fact) -> None:
        """Who may see all sees it masked; without the one permission it is on no page."""
        boss = Site(project, superuser=True)
        boss.do("pause", note=planting.NOTE)
        boss.do("unregister", work=[planting.NAME])
        boss.client.post(boss.url("settings/"), {"settings": "{}", "expected_version": "1", "schedule": ""})
        noun = TABLE[Reader.ADMIN][fact].noun
        assert planting.is_as_told(everything(boss, planting), Reader.ADMIN, fact)
        viewer = Site(project, *(f"view_{other}" for other in NOUNS))
        assert planting.is_as_told(everything(viewer, planting), Reader.ADMIN, fact)
        # The errors of an item are the item's as well.
        hidden = ("run", "work") if fact is Fact.ERRORS else (noun,)
        other = everything(Site(project, *(f"view_{name}" for name in NOUNS if name not in hidden)), planting)
        assert planting.SEEN[fact] not in other
        assert planting.SECRET[fact] not in other

    @pytest.mark.parametrize("path", ["/processes", "/processes/{name}"])
    def test_of_the_json(self, project: Processes, planting: ModuleType, fact: Fact, path: str) -> None:
        """The same as in the admin, of the code's defaults too; what is left out is named by its permission."""
        site = Site(project, *(f"view_{noun}" for noun in NOUNS))
        path = path.format(name=site.process.name)
        whole = site.client.get(path).json()
        assert planting.is_as_told(whole, Reader.JSON, fact)
        assert "withheld" not in whole
        hidden = ("run", "work") if fact is Fact.ERRORS else (TABLE[Reader.ADMIN][fact].noun,)
        answer = Site(project, *(f"view_{name}" for name in NOUNS if name not in hidden)).client.get(path)
        assert answer.status_code == (403 if fact is Fact.NOTES else 200)
        assert planting.SEEN[fact] not in answer.content.decode()
        assert planting.SECRET[fact] not in answer.content.decode()
        if fact is not Fact.NOTES:
            assert answer.json()["withheld"] == sorted(f"celery_process.view_{noun}" for noun in hidden)


def test_an_answer_is_bounded(project: Processes) -> None:
    """By the number of items and by their size, over all processes; going on after "next" brings each item once."""
    site = Site(project, superuser=True)
    site.process.unregister_works([info.name for info in site.process.works()])
    names = [f"n{number:03}" for number in range(120)]
    site.process.register_works({name: {"long": "x" * 60_000} for name in names})
    for other in range(3):
        project.process(f"b{other}-{uuid4().hex[:8]}", schedule=None)(lambda work: None).register_work("small")
    assert site.client.get("/processes?works=1001").status_code == 400
    whole = site.client.get("/processes?works=1000")
    assert len(whole.content) < 3_000_000
    assert len(whole.json()["processes"]) >= 4
    assert site.client.get(f"/processes/{site.process.name}?works=0").json()["process"]["activeWork"] == {}
    found, after = [], ""
    while after is not None:
        answer = site.client.get(f"/processes/{site.process.name}", {"works": "50", "after": after})
        assert len(answer.content) < 3_000_000
        found += list(answer.json()["process"]["activeWork"])
        after = answer.json()["process"].get("next")
    assert found == names


def test_of_two_processes_with_one_name_the_first_app_s_is_shown(project: Processes) -> None:
    """In the list and in the detail, as in the admin."""
    site = Site(project, superuser=True)
    other = Processes(Celery("later", set_as_current=False), backend="memory://")
    other.process(site.process.name, schedule=60)(lambda work: None)
    listed = site.client.get("/processes").json()["processes"][site.process.name]
    assert listed == site.client.get(f"/processes/{site.process.name}").json()["process"]
    assert listed["scheduleFrequency"] == "3600s"
    assert "every 1h" in site.text()
