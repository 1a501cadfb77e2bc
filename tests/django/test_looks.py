"""The admin's own styles, which a theme without the admin's variables and rules needs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import celery_process.contrib.django as contrib

CSS = (Path(contrib.__file__).parent / "static/celery_process/processes.css").read_text()
CSS = re.sub(r"/\*.*?\*/", "", CSS, flags=re.DOTALL)


def declared(*parts: str) -> dict[str, str]:
    """Return what the rule declares whose selector has all the parts."""
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", CSS)
    (body,) = [body for selector, body in rules if all(part in selector for part in parts)]
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in body.split(";")) if value}


def test_every_variable_of_the_admin_has_a_fall_back() -> None:
    """A variable that is not this sheet's own may be missing; one of its own is set in it."""
    assert re.findall(r"var\((--(?!cp-)[\w-]+)\s*\)", CSS) == []
    assert set(re.findall(r"var\((--cp-[\w-]+)\)", CSS)) <= set(re.findall(r"(--cp-[\w-]+):", CSS))


def test_what_is_pressed_looks_like_it_by_itself() -> None:
    """Buttons, the buttons of forms and the links beside them have padding, border, background and colour of their own."""
    style = declared(".button", "[type=", ".closelink) ")
    assert {"padding", "border", "background", "color", "border-radius", "font", "white-space"} <= set(style)
    assert style["white-space"] == "nowrap"
    assert {"padding", "border", "background", "color"} <= set(declared(".cp-form", ".cp-filter", "textarea"))


@pytest.mark.parametrize("cells", [(".cp-table :is(th, td) ",), (".module h2 ",)])
def test_cells_and_headings_keep_apart_by_themselves(cells: tuple[str, ...]) -> None:
    """Columns do not collide where a theme takes the padding of cells away."""
    assert "padding" in declared(*cells)


def test_nothing_is_aligned_by_a_side_of_the_screen() -> None:
    """Start and end follow the direction of the page; only JSON is on the left, always."""
    assert re.findall(r"[^{}]*\{[^{}]*text-align: (?:left|right)", CSS) == [
        match for match in re.findall(r"[^{}]*\{[^{}]*text-align: (?:left|right)", CSS) if "pre[dir]" in match
    ]
    assert not re.search(r"(?:margin|padding|border)-(?:left|right)", CSS)
