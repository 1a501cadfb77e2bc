"""The admin in other languages: all of its words can be translated, and what reads from left to right does so in Arabic."""

from __future__ import annotations

import re
import shutil
import struct
from collections.abc import Iterator, Mapping
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.core.management import call_command
from django.template.base import Lexer, TokenType
from django.test.utils import override_settings
from django.utils import translation

import celery_process.contrib.django as contrib
from celery_process.protocol.model import ItemCounts
from celery_process.protocol.states import RunState, SlotEnd, StopReason, WorkList, WorkState

from .desk import Site

HERE = Path(contrib.__file__).parent
PACKAGE = HERE.parents[1]
TEMPLATES = sorted(HERE.glob("templates/**/*.html"))
SEEN = {"aria-label", "alt", "title", "placeholder", "data-label", "data-on", "data-off", "data-anew", "data-silent"}
"""The attributes that people read."""
ARABIC = {
    "Run now": "شغّل الآن",
    "COMPLETED": "اكتمل",
    "completed": "مكتمل",
    "ran": "جرى",
    "Work items": "عناصر العمل",
    "processes": "العمليات",
    "%(done)s of %(total)s": "%(done)s من %(total)s",
    "every %(span)s": "كل %(span)s",
    "%(span)s ago": "منذ %(span)s",
    "Started run %(run)s": "بدأ التشغيل %(run)s",
    "This is no JSON: %(error)s.": "ليس JSON: %(error)s.",
}


class _Literals(HTMLParser):
    """Collects the texts and the attributes that people read, as they stand in a template."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        is_label = tag == "input" and ("type", "submit") in attrs
        self.found += [value or "" for name, value in attrs if name in SEEN or (name == "value" and is_label)]


def literals(source: str) -> list[str]:
    """Return the words of a template that stand outside of its tags."""
    kept: list[str] = []
    inside = False
    classes = re.compile(r"\{% block bodyclass %\}.*?\{% endblock %\}")
    for token in Lexer(classes.sub("", source)).tokenize():
        if token.token_type is TokenType.BLOCK and token.contents.split()[0] in {"blocktranslate", "endblocktranslate"}:
            inside = not inside
        elif token.token_type is TokenType.TEXT and not inside:
            kept.append(token.contents)
    parser = _Literals()
    parser.feed("".join(kept))
    return [text.strip() for text in parser.found if re.search(r"[^\W\d_]", text)]


def catalogue(folder: Path, words: Mapping[str, str]) -> None:
    """Write a compiled catalogue, as msgfmt does."""
    header = {"": "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=1; plural=0;\n"}
    pairs = sorted((key.encode(), value.encode()) for key, value in {**header, **words}.items())
    texts, at = b"", 28 + 16 * len(pairs)
    places: list[tuple[int, int]] = []
    for text in [key for key, _ in pairs] + [value for _, value in pairs]:
        places.append((len(text), at + len(texts)))
        texts += text + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    folder.mkdir(parents=True)
    (folder / "django.mo").write_bytes(head + b"".join(struct.pack("<2I", *place) for place in places) + texts)


@pytest.fixture
def arabic(tmp_path: Path, databases: Path) -> Iterator[None]:
    """Look at the admin in Arabic, with a catalogue of a few words."""
    catalogue(tmp_path / "ar/LC_MESSAGES", ARABIC)
    with override_settings(LOCALE_PATHS=[str(tmp_path)]), translation.override("ar"):
        yield


def test_no_word_of_a_template_stands_outside_of_a_tag_that_translates() -> None:
    """Texts, labels and titles of all templates are looked up; what is found otherwise is named."""
    assert len(TEMPLATES) > 20
    found = {path.name: words for path in TEMPLATES if (words := literals(path.read_text()))}
    assert found == {}
    assert literals('<p title="Of {{ name }}">{% if x %}Yes{% endif %}{% translate "No" %}</p>') == ["Of", "Yes"]


def words_of_the_store() -> frozenset[str]:
    from celery_process.contrib.django.words import WORDS

    return WORDS


def words_of_the_tables() -> set[str]:
    from celery_process.monitor.columns import TABLES
    from celery_process.monitor.verbs import VERBS

    columns = [column for table in TABLES.values() for column in table.columns]
    words = {word for column in columns for word in (column.heading, column.words, column.hint)}
    words |= {table.empty for table in TABLES.values()}
    return (words | {word for verb in VERBS.values() for word in (verb.label, verb.question, verb.nothing)}) - {""}


def test_every_word_of_the_store_can_be_translated(databases: Path) -> None:
    """States, lists, ends of slots, reasons and the names of counts are words of the catalogue."""
    words = {word.value for kind in (RunState, WorkState, WorkList, SlotEnd, StopReason) for word in kind}
    assert words | {field.name for field in fields(ItemCounts)} <= words_of_the_store()


@pytest.mark.skipif(shutil.which("xgettext") is None, reason="There is no xgettext on the machine's path.")
def test_makemessages_finds_the_words(tmp_path: Path, databases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Django's command finds those of templates, of views, of models, of the store, and of the tables of columns and verbs."""
    app = tmp_path / "app"
    shutil.copytree(PACKAGE, app, ignore=shutil.ignore_patterns("__pycache__"))
    (app / "locale").mkdir()
    monkeypatch.chdir(app)
    call_command("makemessages", locale=["ar"], verbosity=0)
    found = re.sub(r'"\n"', "", (app / "locale/ar/LC_MESSAGES/django.po").read_text())
    wanted = {*words_of_the_store(), *ARABIC, "Settings of %(process)s", "process", *words_of_the_tables()}
    assert [word for word in wanted if f'msgid "{word}"\n' not in found] == []


@pytest.mark.usefixtures("arabic")
class TestArabic:
    def test_words_are_looked_up(self, boss: Site) -> None:
        """Buttons, states, sentences and the model's name are in the language of the page; the log stays in English."""
        boss.process.register_works({"a": None, "b": None})
        assert "شغّل الآن" in boss.text()
        boss.do("run")
        run = boss.process.state().run
        assert run is not None
        page = boss.text()
        assert f"بدأ التشغيل \u2068{run.id}\u2069\u2069." in page
        for words in ("2 من 2", "اكتمل", "مكتمل", "جرى", "عناصر العمل", "العمليات", "كل \u20681h\u2069", "منذ \u2068"):
            assert words in page
        assert 'class="cp-badge cp-is-COMPLETED"' in page
        assert boss.log() == [f"Started run {run.id}"]
        form = {"names": "a", "params": "{"}
        assert "ليس JSON" in boss.client.post(boss.url("register/"), form).content.decode()

    def test_what_reads_from_left_to_right_does_so(self, boss: Site) -> None:
        """Pairs of numbers, ids, instants and JSON have their direction; names and errors that of their first letter."""
        boss.process.register_works({"bad/1": {"broken": True}, "c": None})
        run = boss.process.run_now()
        page, listed = boss.text(), boss.client.get("/admin/celery_process/process/").content.decode()
        assert 'dir="rtl"' in page
        for shown in (page, listed):
            assert re.search(r'<bdi dir="ltr"[^>]*>1 / 50</bdi>', shown)
            assert f"<bdi>{boss.process.name}</bdi>" in shown
        assert '<bdi dir="ltr">2 / 2</bdi>' in page
        assert "<bdi>At most 1,000 items in flight.</bdi>" in page
        assert f"\u2068Settings of \u2068{boss.process.name}\u2069\u2069" in boss.text("settings/")
        assert page.count(f'<bdi dir="ltr">{run.id}</bdi>') == 2
        assert "<bdi>bad/1</bdi>" in page
        assert '<span class="cp-error" dir="auto">' in page
        assert '<code dir="ltr">' in page
        assert re.search(r'<time [^>]*><bdi dir="ltr">\d{4}-', page)
        items = boss.text("items/", state="COMPLETED")
        assert '<option value="COMPLETED" selected>اكتمل</option>' in items
        assert "<bdi>c</bdi>" in items
        assert "bad/1" not in items
