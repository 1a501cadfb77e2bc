"""Documents to import with any value in any place: refused with the place and nothing written, or written whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from celery_process.exceptions import InvalidValue, WrongState
from celery_process.stores.memory import MemoryStore
from celery_process.transfer import from_original
from celery_process.transfer.lines import export, load, write
from tests.hostile import VALUES
from tests.snapshots import snapshot

from .test_original_reading import GCKEYS

OF_JSON = [value for value in VALUES if value is None or type(value) in (bool, int, float, str, list, dict)]
Path = tuple[str, ...]


def stored() -> MemoryStore:
    """Return a store whose process has all that a document may have of it."""
    store = MemoryStore()
    store.register("p", {"a": '{"x":1}', "b": "{}"})
    store.unregister("p", ["b"])
    store.update_settings("p", settings='{"a":1}', schedule='{"interval":60.0}', by="me")
    store.pause("p", note="n", by="x")
    store.update_limits("p", max_in_flight=5, rate_limit="5/s", by="me")
    return store


LINES: list[dict[str, Any]] = [json.loads(line) for line in export(stored(), "p")]


def places(document: Any, path: Path = ()) -> Iterator[Path]:
    if path:
        yield path
    for name, inside in document.items() if isinstance(document, dict) else ():
        yield from places(inside, (*path, name))


def changed(document: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    made = deepcopy(document)
    inner = made
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return made


def written(value: Any) -> str | None:
    """Return a value as JSON; None for one that JSON has not, such as a dict in itself."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return None


def check_refusal(error: InvalidValue | WrongState) -> None:
    text = str(error)
    assert text.endswith(".")
    assert text.isprintable()
    assert len(text) < 500
    assert "nothing was written" in text


@pytest.mark.parametrize(("number", "path"), [(n, path) for n, line in enumerate(LINES) for path in places(line)], ids=str)
def test_lines(number: int, path: Path) -> None:
    """A line is checked before the first one is written, and what was written is exported again as it was."""
    refused = 0
    for value in OF_JSON:
        lines = [json.dumps(line) for line in LINES]
        line = written(changed(LINES[number], path, value))
        if line is None:
            continue
        lines[number] = line
        store = MemoryStore()
        try:
            load(store, lambda lines=lines: lines)  # type: ignore[misc]
        except (InvalidValue, WrongState) as error:  # settings of version 0 count as older than none
            refused += 1
            check_refusal(error)
            assert all(not row.works and not row.overrides.version for row in snapshot(store).values())
        else:
            again, name = MemoryStore(), next(iter(snapshot(store)))
            first = list(export(store, name))
            load(again, lambda first=first: first)  # type: ignore[misc]
            assert list(export(again, name)) == first
    assert refused


@pytest.mark.parametrize("path", list(places(GCKEYS)), ids=str)
def test_documents_of_the_original(path: Path) -> None:
    """A document of the original is read whole or not at all; what was read can be written."""
    for value in OF_JSON:
        try:
            reading = from_original.read(changed(GCKEYS, path, value))
        except InvalidValue as error:
            check_refusal(error)
        else:
            store = MemoryStore()
            assert write(store, reading.pairs) == {reading.stored.name: len(reading.works)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "1",
        "null",
        '"x"',
        "{",
        "{}",
        '{"celery_process": 2}',
        "[" * 100000,
        "\x00",
        "\ufeff{}",
        "a\nb",
        "9" * 5000,
        '{"celery_process": 1}',
        '{"celery_process": true}',
        '{"celery_process": 1, "process": "p"}',
        '{"a": 1, "a": 2}',
        "NaN",
    ],
    ids=lambda text: ascii(text)[:40],
)
def test_a_line_that_is_none(text: str) -> None:
    """Text of any kind between good lines refuses the document."""
    good = [json.dumps(line) for line in LINES]
    for lines in ([text, *good], [*good, text], [good[0], text, *good[1:]]):
        store = MemoryStore()
        if not text:
            assert load(store, lambda lines=lines: lines) == {"p": 2}  # type: ignore[misc]
            continue
        with pytest.raises(InvalidValue) as caught:
            load(store, lambda lines=lines: lines)  # type: ignore[misc]
        check_refusal(caught.value)
        assert all(not row.works for row in snapshot(store).values())
