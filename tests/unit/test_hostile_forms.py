"""Any text in a request to Flower's pages: an answer that says what is wrong, never an error of the server."""

from __future__ import annotations

import json
from types import ModuleType
from urllib.parse import quote, urlencode

import pytest

from celery_process.checks import MAX_TEXT
from tests.hostile import TEXTS
from tests.snapshots import snapshot

pytest.importorskip("flower.urls", reason="Flower is not installed.")

from .test_flower_access import Served

WORDS = [str(text) for text in TEXTS if len(text) < 2_000]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def served(planting: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Served:
    served = Served(planting, monkeypatch)
    served.process.resume()
    return served


def act(served: Served, verb: str, form: bytes) -> tuple[int, dict[str, object]]:
    answer = served.ask(f"/api/processes/one/{verb}", api=True, method="POST", form=form, **FORM)
    return answer.code, json.loads(answer.body)


def test_notes(served: Served) -> None:
    """A note is kept but for the spaces around it, or refused with the store as it was."""
    refused = 0
    for text in WORDS:
        before = snapshot(served.processes.store)
        code, answer = act(served, "pause", urlencode({"note": text}, errors="surrogatepass").encode())
        if code == 200:
            paused = served.process.state().paused
            assert paused is not None
            assert len(paused.note) <= MAX_TEXT
            assert "".join(paused.note.split()) in "".join(text.split()) or not text.isprintable()
            served.process.resume()
        else:
            refused += 1
            assert code == 400, (text, answer)
            assert answer["error"]
            assert snapshot(served.processes.store) == before
    assert refused


def test_runs(served: Served) -> None:
    """No text names a run that there is not."""
    before = snapshot(served.processes.store)
    for text in WORDS:
        code, answer = act(served, "redrive", urlencode({"run": text}, errors="surrogatepass").encode())
        assert code in (400, 404), (text, answer)
        assert snapshot(served.processes.store) == before


@pytest.mark.parametrize(
    "form", [b"note=%ff%fe", b"note=%", b"note", b"=", b"&&&", b"\xff\xfe", b"note=a&note=b", b"{" * 1_000]
)
def test_forms_that_are_none(served: Served, form: bytes) -> None:
    """A body that is no form, or no UTF-8, is a request that is wrong or has no note."""
    assert act(served, "pause", form)[0] in (200, 400)


def test_names_and_verbs(served: Served) -> None:
    """What is in the path is looked up among what there is."""
    for text in WORDS:
        if (part := quote(text, safe="", errors="surrogatepass")) in ("", ".", ".."):
            continue
        for path in (f"/api/processes/{part}/run", f"/api/processes/one/{part}"):
            assert served.ask(path, api=True, method="POST").code in (400, 404, 405), text
        assert served.ask(f"/api/processes/{part}", api=True).code in (400, 404), text
