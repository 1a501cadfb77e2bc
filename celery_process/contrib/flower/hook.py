"""Add the pages to Flower, which has no public way to add any: the one file that reaches past its public API.

`celery` loads the commands that packages add, Flower's and `process` alike, before it runs any of them. So the module of
`process` calls `install` once, which changes two globals before `flower` makes its web application:

- `flower.urls.handlers`, the list that the application is made from, begins with the routes below;
- `flower.urls.settings["template_loader"]` looks into the folder beside this file first, and adds a tab to the navbar.

Both are module globals of the same shape in Flower 2.0.1 and 2.2, and each version has its test. The routes name their
handlers by text, so a worker or beat, whose command line loads this module as well, imports none of them. A Flower of
another shape stays unchanged, and a warning is logged.
"""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from celery_process.text.logs import log_fields, logger_of

logger = logger_of(__name__)

_FOLDER = Path(__file__).parent / "templates"
_HANDLERS = "celery_process.contrib.flower.handlers"
ROUTES = (
    (r"/processes", f"{_HANDLERS}.ProcessesPage"),
    (r"/processes/health", f"{_HANDLERS}.Health"),
    (r"/processes/([^/]+)", f"{_HANDLERS}.ProcessPage"),
    (r"/processes-assets/([^/]+)", f"{_HANDLERS}.Assets"),
    (r"/api/processes", f"{_HANDLERS}.ListProcesses"),
    (r"/api/processes/([^/]+)", f"{_HANDLERS}.ShowProcess"),
    (r"/api/processes/([^/]+)/([^/]+)", f"{_HANDLERS}.ActOnProcess"),
)
_LAST_TAB = re.compile(rb"reverse_url\('broker'\).*?</li>", re.DOTALL)
# Flower names its routes; under --url_prefix a route of ours would lose its name, so the tab composes the URL itself.
_TAB = (
    b'\n<li class="nav-item"><a class="nav-link%s{%% if active_tab == \'processes\' %%} active{%% end %%}"'
    b" href=\"{{ reverse_url('tasks').rpartition('/')[0] }}/processes\""
    b" {%% if active_tab == 'processes' %%}aria-current=\"page\"{%% end %%}>Processes</a></li>"
)


def install() -> bool:
    """Add the pages to the Flower of this interpreter, before it makes its application; return whether it has them.

    `celery` calls it when it loads its commands; where Flower is embedded without those, call it before `flower.app.Flower`.
    """
    if find_spec("flower") is None:
        return False
    try:
        urls = import_module("flower.urls")
        if any(route[0] == ROUTES[0][0] for route in urls.handlers if isinstance(route, tuple)):
            return True
        loader = _loader(urls.settings["template_path"])
        urls.settings["template_loader"] = loader
        urls.handlers[:0] = ROUTES
    except ImportError:
        return False  # a Flower that lacks one of its own packages runs no pages at all
    except Exception as error:  # noqa: BLE001 - whatever a Flower of another shape raises, celery's commands must work
        logger.warning("This Flower does not take the page of processes: %s", error, extra=log_fields("flower_refused"))
        return False
    return True


def with_tab(navbar: bytes) -> bytes:
    """Return Flower's navbar with a tab for the processes after its own; unchanged where that place is not found."""
    found = _LAST_TAB.search(navbar)
    if found is None:
        logger.warning("The navbar of this Flower has no place for a tab.", extra=log_fields("flower_refused"))
        return navbar
    tab = _TAB % (b" text-dark" if b"text-dark" in found[0] else b"")
    return navbar[: found.end()] + tab + navbar[found.end() :]


def _loader(flower_folder: str) -> Any:
    template = import_module("tornado.template")

    class Loader(template.Loader):  # type: ignore[name-defined]
        """Flower's own templates, and ours."""

        def _create_template(self, name: str) -> Any:
            ours = _FOLDER / name
            text = (ours if ours.is_file() else Path(self.root) / name).read_bytes()
            if name == "navbar.html":
                text = with_tab(text)
            return template.Template(text, name=name, loader=self)

    return Loader(flower_folder)
