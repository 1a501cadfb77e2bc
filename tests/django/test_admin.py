"""The admin of processes over real stores: who may see and do what, and what of it is written down."""

from __future__ import annotations

import json
import re

import pytest

from celery_process import Processes
from celery_process.protocol.model import RunSpec, SlotRef
from celery_process.protocol.states import Again
from celery_process.text.masking import MASK

from .desk import HOSTILE, Site

VERBS = {
    "run": "run",
    "pause": "process",
    "resume": "process",
    "cancel": "run",
    "redrive": "run",
    "unregister": "work",
}
"""Each verb with the model whose "change" it needs."""


def viewer(processes: Processes) -> Site:
    return Site(processes, *(f"view_{noun}" for noun in ("process", "run", "slot", "work", "settings")))


class TestWhoMay:
    def test_who_is_not_of_the_staff_is_asked_to_log_in(self, processes: Processes) -> None:
        """The admin's own guard stands before every page."""
        site = Site(processes, superuser=True)
        site.user.is_staff = False
        site.user.save()
        for page in ("change/", "live/", "items/", "settings/"):
            assert site.get(page).status_code == 302

    def test_each_page_needs_its_model(self, processes: Processes) -> None:
        """Who may see processes alone sees neither items, runs, slots nor settings; each opens with its permission."""
        pages = {"items/": "work", "runs/": "run", "slots/": "slot", "settings/": "settings"}
        site = Site(processes, "view_process")
        shown = site.text()
        assert "Failing items" not in shown
        assert "Last slots" not in shown
        assert "Settings in force" not in shown
        assert set(site.get("live/").json()["parts"]) == {"head", "actions", "progress"}
        assert {page: site.get(page).status_code for page in pages} == dict.fromkeys(pages, 403)
        for page, noun in pages.items():
            assert Site(processes, f"view_{noun}").get(page).status_code == 200
        nobody = Site(processes)
        assert [nobody.get(page).status_code for page in ("change/", "live/")] == [403, 403]
        assert nobody.client.get("/admin/celery_process/process/").status_code == 403

    def test_who_may_see_cannot_act(self, processes: Processes) -> None:
        """A viewer meets 403 at each action and finds no button; nothing changes, and nothing is logged."""
        site = viewer(processes)
        site.process.register_work("a")
        run = site.process.run_now()
        answers = {verb: site.do(verb, run=run.id, work="a", note="x").status_code for verb in VERBS}
        assert answers == dict.fromkeys(VERBS, 403)
        assert site.client.post(site.url("register/"), {"names": "b", "params": "{}"}).status_code == 403
        settings = {"settings": "{}", "schedule": "5", "expected_version": "0"}
        assert site.client.post(site.url("settings/"), settings).status_code == 403
        state = site.process.state()
        assert (state.paused, state.settings_version, state.run and state.run.id) == (None, 0, run.id)
        assert [info.name for info in site.process.works()] == ["a"]
        for page in ("change/", "items/", "runs/", "settings/"):
            assert "formaction" not in site.text(page)
            assert 'type="submit"' not in re.sub(r"(?s)<header.*?</header>", "", site.text(page))
        assert site.log() == []

    @pytest.mark.parametrize("verb", VERBS)
    def test_each_action_needs_the_change_of_its_model_alone(self, processes: Processes, verb: str) -> None:
        """With it the action is done; with all other permissions it is not."""
        site = Site(processes, "view_process", f"change_{VERBS[verb]}")
        others = {"process", "run", "work", "settings"} - {VERBS[verb]}
        other = Site(processes, "view_process", "view_slot", *(f"change_{noun}" for noun in others))
        site.process.register_work("a", {"broken": True})
        run = site.process.run_now()
        form = {"run": run.id, "work": "a"}
        assert other.do(verb, **form).status_code == 403
        assert site.do(verb, **form).status_code == 302
        assert other.log() == []
        assert len(site.log()) == (verb != "cancel")  # no run is open, so there is nothing to cancel and to log

    def test_without_the_token_nothing_is_done(self, processes: Processes) -> None:
        """A POST without Django's token is refused, and a GET only asks."""
        site = Site(processes, superuser=True, enforce_csrf_checks=True)
        for verb in VERBS:
            assert site.do(verb).status_code == 403
            assert site.get(f"do/{verb}/").status_code == 200
        assert site.process.state().paused is None
        assert site.log() == []


class TestActing:
    def test_a_run_is_started_redriven_and_logged(self, boss: Site) -> None:
        """What the buttons do is in the ledger under the user's name, and in the admin's log and history."""
        boss.process.register_works({"good": None, "bad": {"broken": True}})
        boss.do("run")
        run = boss.process.state().run
        assert run is not None
        (slot,) = boss.process.slots()
        assert (slot.run_id, slot.by) == (run.id, f"admin:{boss.user.username}")
        assert f"Started run {run.id}" in boss.told()
        boss.do("redrive", run=run.id)
        again = boss.process.state().run
        assert again is not None
        assert (again.counts.enlisted, again.id != run.id) == (1, True)
        assert boss.log() == [f"Started run {run.id}", f"Redrove run {run.id} as {again.id}"]
        assert f"Redrove run {run.id}" in boss.text("history/")
        from django.contrib.admin.models import LogEntry

        entry = LogEntry.objects.filter(user=boss.user).first()
        assert entry is not None
        assert entry.get_admin_url() == boss.url()

    def test_pause_and_resume(self, boss: Site) -> None:
        """A pause has its note and its user; while it lasts a run is refused in words."""
        boss.do("pause", note=HOSTILE)
        paused = boss.process.state().paused
        assert paused is not None
        assert (paused.note, paused.by) == (HOSTILE, f"admin:{boss.user.username}")
        assert "&lt;script&gt;" in boss.text()
        assert HOSTILE not in boss.text()
        assert boss.do("run").status_code == 302
        assert "is paused by" in boss.told()
        boss.do("resume")
        assert boss.process.state().paused is None
        assert boss.log() == [f"Paused: {HOSTILE}", "Resumed"]

    def test_an_open_run_is_cancelled(self, boss: Site) -> None:
        """The open run ends INCOMPLETE; without one there is nothing to cancel."""
        process = boss.process
        process.register_work("a")
        store = process.dispatch.store
        now = store.now()
        claim = store.claim_run(
            process.name, uuid="u", slot=SlotRef(now, now), spec=RunSpec(), again=Again.ALWAYS, by="test"
        )
        assert claim.run is not None
        assert "Cancel the run" in boss.text()
        boss.do("run")
        assert "has an open run" in boss.told()
        boss.do("cancel")
        run = process.state().run
        assert run is not None
        assert (run.state, run.reason) == ("INCOMPLETE", "cancelled")
        boss.do("cancel")
        assert "No run is open" in boss.told()
        assert boss.log() == [f"Cancelled run {claim.run.id}"]

    @pytest.mark.parametrize("backend", ["django"], indirect=True)
    def test_with_a_transaction_for_each_request(self, boss: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        """ATOMIC_REQUESTS does not lock the file of the database that the store writes to over connections of its own."""
        from django.db import connections

        monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", True)
        form = {"settings": '{"key_ttl": 1}', "schedule": "", "expected_version": "0"}
        answers = [boss.client.post(boss.url("register/"), {"names": "a", "params": ""}), boss.do("run"), boss.do("pause")]
        answers.append(boss.client.post(boss.url("settings/"), form))
        assert [answer.status_code for answer in answers] == [302] * 4
        assert len(boss.log()) == 4

    @pytest.mark.parametrize("verb", ["pause", "cancel", "unregister"])
    def test_what_destroys_is_asked_about_first(self, boss: Site, verb: str) -> None:
        """Without its confirmation a POST shows the page that asks, with what was chosen, and does nothing."""
        boss.process.register_works({HOSTILE: None, "b": None})
        answer = boss.client.post(boss.url(f"do/{verb}/"), {"work": [HOSTILE], "note": "why"})
        page = answer.content.decode()
        assert answer.status_code == 200
        assert 'name="confirmed"' in page
        assert ("&lt;script&gt;" in page) == (verb == "unregister")
        assert len(list(boss.process.works())) == 2
        assert boss.log() == []

    def test_items_are_registered_and_unregistered(self, boss: Site) -> None:
        """By a form that takes names and params, and by ticks in the list; again, nothing is done."""
        form = {"names": " a \r\nb\r\n\r\na", "params": '{"limit": 3}'}
        assert boss.client.post(boss.url("register/"), form).status_code == 302
        assert [(info.name, dict(info.params)) for info in boss.process.works()] == [
            ("a", {"limit": 3}),
            ("b", {"limit": 3}),
        ]
        boss.client.post(boss.url("register/"), form)
        assert "already" in boss.told()
        boss.do("unregister", work=["a", "b"])
        assert [info.name for info in boss.process.works("cleanup")] == ["a", "b"]
        boss.do("unregister", work=["a"])
        assert "already" in boss.told()
        boss.do("unregister")
        assert "tick some first" in boss.told()
        assert boss.log() == ["Registered 2 of 2: a, b", "Unregistered 2 of 2: a, b"]

    def test_secrets_of_params_are_neither_shown_nor_lost(self, boss: Site) -> None:
        """The page of an item and its form have a mask, which stands for what is kept."""
        boss.process.register_work("a", {"api_key": "s3cret", "limit": 1})
        for page in ("item/", "register/"):
            assert "s3cret" not in boss.text(page, name="a")
            assert MASK in boss.text(page, name="a")
        boss.client.post(boss.url("register/"), {"names": "a", "params": json.dumps({"api_key": MASK, "limit": 2})})
        assert dict(boss.process.work("a").params) == {"api_key": "s3cret", "limit": 2}
        answer = boss.client.post(boss.url("register/"), {"names": "new", "params": json.dumps({"api_key": MASK})})
        assert "stands for a stored value" in answer.content.decode()
        assert [info.name for info in boss.process.works()] == ["a"]

    @pytest.mark.parametrize(
        ("form", "words"),
        [
            ({"names": "", "params": "{}"}, "This field is required"),
            ({"names": "a\x07", "params": "{}"}, "control characters"),
            ({"names": "n" * 192, "params": "{}"}, "1 to 191"),
            ({"names": "a", "params": "[1]"}, "no object"),
            ({"names": "a", "params": "{"}, "no JSON"),
            ({"names": "a", "params": '{"a": NaN}'}, "finite"),
            ({"names": "a", "params": "[" * 100_000}, "no JSON"),
            ({"names": "a", "params": json.dumps({"a": "x" * 70_000})}, "bytes"),
        ],
    )
    def test_bad_items_are_told_of(self, boss: Site, form: dict[str, str], words: str) -> None:
        """The form comes back with what is wrong; nothing is registered."""
        assert words not in boss.text("register/")
        answer = boss.client.post(boss.url("register/"), form)
        assert answer.status_code == 200
        assert words in answer.content.decode()
        assert list(boss.process.works()) == []
        assert boss.log() == []
