"""What the admin's pages show, over real stores: runs, errors, several apps, what is not there, and items by the page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from celery import Celery
from django.db import connection
from django.test.utils import CaptureQueriesContext

from celery_process import Processes
from celery_process.protocol.model import SlotRef
from celery_process.protocol.states import SlotEnd

from .desk import HOSTILE, Site, served


class TestShown:
    def test_a_run_with_its_errors(self, boss: Site) -> None:
        """State, numbers, errors with their items, slots: the page, the page of the run, and the live parts agree."""
        boss.process.register_works({"good": None, "bad/1 &": {"broken": True}})
        run = boss.process.run_now()
        page, live = boss.text(), boss.get("live/").json()["parts"]
        assert set(live) == {"head", "actions", "progress", "failing", "runs", "slots", "settings"}
        for part in ("failing", "runs", "slots", "settings"):
            assert "".join(live[part].split()) in "".join(page.split())
        for shown in (page, boss.text(f"runs/{run.id}/"), live["failing"]):
            assert "&lt;script&gt;" in shown
            assert HOSTILE not in shown
            assert "bad/1 &amp;" in shown
        assert "2 of 2" in live["progress"]
        assert "1 / 50" in live["progress"]
        assert run.id in live["slots"]
        (link,) = re.findall(r'href="([^"]*item/\?name=[^"]*)"', live["failing"])
        answer = boss.client.get(link.replace("&amp;", "&"))
        assert "bad/1 &amp;" in answer.content.decode()
        assert "INCOMPLETE" in answer.content.decode()

    def test_the_list_has_every_process_of_every_app(self, boss: Site, processes: Processes) -> None:
        """With several apps all of their processes stand there, and the page says so."""
        other = Processes(Celery(f"other-{uuid4().hex[:6]}", set_as_current=False), backend="memory://")
        name = f"other-{uuid4().hex[:8]}"
        other.process(name, schedule=None)(lambda work: None)
        other.process(boss.process.name, schedule=None)(lambda work: None)
        shown = boss.client.get("/admin/celery_process/process/").content.decode()
        assert re.search(r"This project has \d+ Celery apps", shown)
        assert other.app.main in shown
        assert shown.count(f'id="cp-to-{name}"') == 1
        assert shown.count(f'id="cp-to-{boss.process.name}"') == 1
        assert "every 1h" in shown
        assert "one operating-system process alone" in shown

    def test_an_app_without_a_store_does_not_hide_the_others(self, boss: Site) -> None:
        """What its store says stands above the list, which has the processes of all other apps."""
        lost = Processes(Celery("lost-app", set_as_current=False), backend="redis://127.0.0.1:1/0")
        lost.process(f"lost-{uuid4().hex[:8]}", schedule=None)(lambda work: None)
        for shown in (
            boss.client.get("/admin/celery_process/process/").content.decode(),
            boss.client.get("/admin/celery_process/process/live/").json()["parts"]["list"],
        ):
            assert "lost-app: " in shown
            assert f'id="cp-to-{boss.process.name}"' in shown
        lost.store.close()

    def test_an_unknown_process_run_or_item(self, boss: Site) -> None:
        """Each is 404, with what to do, and so is a list or verb that there is not, as 400."""
        pages = {"runs/9-x/": 404, "runs/no/": 404, "item/?name=no": 404, "item/": 400, "items/?on=none": 400}
        pages |= {"items/?state=none": 400, "do/explode/": 400, "items/?q=%00": 400, "runs/?before=x": 400}
        pages |= {"slots/?before=99999999999999999999": 400, f"slots/?before={10**18 - 1}": 400, "runs/?before=-1": 400}
        assert {page: boss.client.get(boss.url(page)).status_code for page in pages} == pages
        boss.process = type("Gone", (), {"name": f"gone-{uuid4().hex}"})  # type: ignore[assignment]
        assert boss.get().status_code == 404
        assert boss.get("live/").status_code == 404
        assert "error" in boss.get("live/").json()

    def test_a_store_out_of_reach_is_told_of(self, databases: Any) -> None:
        """The pages answer 503 with what the store said, the live part too."""
        app = Celery("lost", set_as_current=False)
        registry = Processes(app, backend="redis://127.0.0.1:1/0")
        registry.process(f"lost-{uuid4().hex[:8]}", schedule=60)(lambda work: None)
        with served():
            site = Site(registry, superuser=True)
            answer, live = site.get(), site.get("live/")
        assert (answer.status_code, live.status_code) == (503, 503)
        assert "127.0.0.1" in live.json()["error"]
        registry.store.close()

    def test_no_script_or_style_stands_in_a_page(self, boss: Site) -> None:
        """A strict Content-Security-Policy lets all of it work."""
        boss.process.register_works({"good": None, "bad": {"broken": True}})
        run = boss.process.run_now()
        pages = ["change/", "items/", "runs/", f"runs/{run.id}/", "slots/", "settings/", "register/", "do/pause/"]
        for page in [*pages, "item/?name=bad", "history/"]:
            answer = boss.client.get(boss.url(page))
            assert answer.status_code == 200, page
            text = answer.content.decode()
            assert not re.search(r"<script(?![^>]* src=)", text)
            assert not re.search(r"<style|\sstyle=|\son\w+=|https?://(?!www.w3.org/2000/svg)", text)


class TestOlder:
    """The pages of runs and of slots, newest first, from the newest to the oldest."""

    def walk(self, boss: Site, page: str, found: str) -> list[list[str]]:
        """Return what each page shows, from the first one on by its link to older ones."""
        pages, query = [], ""
        for _ in range(9):
            text = boss.client.get(boss.url(page) + query).content.decode()
            pages.append(re.findall(found, text))
            assert ('href="?"' in text) is bool(query)
            following = re.search(r'id="cp-next" href="([^"]*)"', text)
            if following is None:
                return pages
            query = following.group(1)
        raise AssertionError("the pages have no end")

    @pytest.mark.parametrize(("count", "sizes"), [(50, [50]), (51, [50, 1])])
    def test_runs(self, boss: Site, count: int, sizes: list[int]) -> None:
        """Fifty are on a page; each run is on one, and none is left out where a page ends."""
        runs = [boss.process.run_now().id for _ in range(count)]
        pages = self.walk(boss, "runs/", r'href="[^"]*runs/(\d+-[0-9a-f]+)/"')
        assert [len(page) for page in pages] == sizes
        assert [run for page in pages for run in page] == runs[::-1]
        oldest = boss.process.store.run(boss.process.name, runs[0])
        assert runs[1] in boss.text("runs/", before=oldest.epoch + 2)
        assert runs[2] not in boss.text("runs/", before=oldest.epoch + 2)

    @pytest.mark.parametrize(("count", "sizes"), [(50, [50]), (51, [50, 1])])
    def test_slots(self, boss: Site, count: int, sizes: list[int]) -> None:
        """So is the ledger."""
        instants = [datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=number) for number in range(count)]
        for instant in instants:
            boss.process.store.skip_slot(
                boss.process.name, slot=SlotRef(instant, instant), end=SlotEnd.DECLINED, by="somebody"
            )
        pages = self.walk(boss, "slots/", r'<th scope="row"[^>]*>.*?datetime="([^"]*)"')
        assert [len(page) for page in pages] == sizes
        assert [datetime.fromisoformat(slot) for page in pages for slot in page] == instants[::-1]


class TestItems:
    def names(self, boss: Site, **query: str) -> tuple[list[str], str]:
        """Return the names that a page of items shows, and what leads to the next page."""
        text = boss.text("items/", **query)
        following = re.search(r'id="cp-next" href="([^"]*)"', text)
        return re.findall(r'<th scope="row"><a[^>]*><bdi>(.*?)</bdi></a>', text), following.group(1).replace(
            "&amp;", "&"
        ) if following else ""

    def test_all_of_them_in_pages(self, boss: Site) -> None:
        """Page by page every item is met once, in order of name."""
        expected = sorted(f"{number:03} &/?" for number in range(250))
        boss.process.register_works(dict.fromkeys(expected))
        found, query = self.names(boss)
        while query:
            text = boss.client.get(boss.url("items/") + query).content.decode()
            found += re.findall(r'<th scope="row"><a[^>]*><bdi>(.*?)</bdi></a>', text)
            following = re.search(r'id="cp-next" href="([^"]*)"', text)
            query = following.group(1).replace("&amp;", "&") if following else ""
        assert [name.replace("&amp;", "&") for name in found] == expected

    def test_by_list_state_and_beginning(self, boss: Site) -> None:
        """Each narrows the list; a name that is the beginning itself is among them."""
        boss.process.register_works(
            {"a": None, "ab": {"broken": True}, "abc": None, "ac": None, "b": {"broken": True}, "A": None}
        )
        boss.process.run_now()
        boss.process.register_work("new")
        boss.process.unregister_work("ac")
        assert self.names(boss) == (["A", "a", "ab", "abc", "b", "new"], "")
        assert self.names(boss, q="ab") == (["ab", "abc"], "")
        assert self.names(boss, state="INCOMPLETE") == (["ab", "b"], "")
        assert self.names(boss, state="NEW") == (["new"], "")
        assert self.names(boss, on="cleanup") == (["ac"], "")
        assert self.names(boss, on="dropped") == ([], "")
        assert self.names(boss, q="ab", state="COMPLETED") == (["abc"], "")
        assert self.names(boss, q="zz") == ([], "")


def queries_of(store: Any, look: Any) -> list[tuple[str, Any]]:
    """Return the statements that the store's own connections execute while `look` runs."""
    seen: list[tuple[str, Any]] = []
    engine = store._ready.engine

    def note(conn: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        look()
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    return seen


@pytest.mark.parametrize("backend", ["django"], indirect=True)
@pytest.mark.parametrize("query", [{}, {"after": "0050"}, {"q": "01"}, {"state": "COMPLETED"}, {"on": "cleanup"}])
def test_a_page_of_items_reads_by_index_and_counts_nothing(boss: Site, query: dict[str, str]) -> None:
    """Each statement searches by an index, none sorts, counts or skips; Django's own connection reads no item at all."""
    boss.process.register_works({f"{number:04}": None for number in range(150)})
    boss.process.run_now()
    store = boss.process.dispatch.store
    with CaptureQueriesContext(connection) as djangos:
        statements = queries_of(store, lambda: boss.text("items/", **query))
    assert not [found for found in djangos.captured_queries if "cp_" in found["sql"]]
    selects = [(sql, parameters) for sql, parameters in statements if sql.startswith("SELECT")]
    assert 0 < len(selects) <= 5
    for sql, parameters in selects:
        assert "count(" not in sql.lower()
        assert "OFFSET" not in sql.replace("LIMIT ? OFFSET ?", "") or parameters[-1] == 0
        with store._ready.engine.connect() as conn:
            plan = [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", tuple(parameters))]
        assert all("USING" in line and "INDEX" in line for line in plan if line.startswith(("SEARCH", "SCAN"))), plan
        assert not [line for line in plan if (line.startswith("SCAN") and "cp_" in line) or "TEMP B-TREE" in line], (
            sql,
            plan,
        )


@pytest.mark.parametrize("size", [300, 3000])
def test_a_page_looks_at_a_bounded_number(databases: Any, size: int) -> None:
    """However many items there are, a page reads one more than it shows; for a state, no more than its bound, and goes on."""
    from celery_process.contrib.django.admin.listing import listing
    from celery_process.protocol.states import WorkState

    registry = Processes(Celery("bounded", set_as_current=False), backend="memory://")
    process = registry.process("p", schedule=None)(lambda work: None)
    process.register_works({f"{number:05}": None for number in range(size)})
    read: list[int] = []
    store, works = process.dispatch.store, process.dispatch.store.works

    def counted(*args: Any, **options: Any) -> Any:
        found = works(*args, **options)
        read.append(len(found))
        return found

    store.works = counted  # type: ignore[method-assign]
    page = listing(process, page=10)
    assert (len(page.works), page.after, page.cut, sum(read)) == (10, "00009", False, 11)
    read.clear()
    rare = listing(process, state=WorkState.ABORTED, page=10, most=100)
    assert (rare.works, rare.after, rare.read_count, rare.cut) == ((), "00099", 100, True)
    assert sum(read) <= 500
