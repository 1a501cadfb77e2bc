"""Flower's handlers for processes: two pages, their JSON, and the actions.

Flower's own options guard them: `--basic_auth` or `--auth` guard everything; without them the pages are open, and the
API with the actions is closed unless FLOWER_UNAUTHENTICATED_API is set. `--read_only` closes the actions. `access`
refuses requests that come through other sites.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from flower.api import BaseApiHandler
from flower.views import BaseHandler
from tornado import web

from celery_process.app import registry_of
from celery_process.contrib.flower import access
from celery_process.contrib.flower.board import READER, Board
from celery_process.exceptions import ProcessError
from celery_process.monitor.jsonable import http_status, plain
from celery_process.monitor.secrets import Fact, mask_fact, mask_for
from celery_process.monitor.verbs import VERBS, Request, Target, Verb
from celery_process.text.logs import log_fields, logger_of

logger = logger_of(__name__)

_BOARD = "celery_process_board"
NO_PROCESSES = (
    "This app has no processes; make a Processes(app) in the module that -A names, or in one that it imports, and start "
    "Flower anew."
)


def actions() -> dict[str, Verb]:
    """Return the verbs of a process and of its runs; Flower has no list of items to choose from."""
    return {verb.name: verb for verb in VERBS.values() if verb.target is not Target.ITEMS}


class OfProcesses(web.RequestHandler):  # type: ignore[misc,unused-ignore]
    """What pages and API share: the board, and the user who asks."""

    application: Any
    acts = False

    def set_default_headers(self) -> None:
        """Forbid browsers to guess types and other sites to read: where its API is open, Flower's own headers allow both."""
        self.set_header("X-Content-Type-Options", "nosniff")

    def prepare(self) -> None:
        """Refuse a request that comes through another site."""
        access.refuse_strangers(self, acts=self.acts)
        super().prepare()

    @property
    def board(self) -> Board:
        """The board of this Flower, created at first use."""
        settings = self.application.settings
        if _BOARD not in settings:
            registry = registry_of(self.application.capp)
            if registry is None:
                raise web.HTTPError(404, NO_PROCESSES)
            settings[_BOARD] = Board(registry)
        board: Board = settings[_BOARD]
        return board

    @property
    def guarded(self) -> bool:
        """Whether this Flower knows its users."""
        return access.is_guarded(self.application.options)

    @property
    def read_only(self) -> bool:
        """Whether this Flower refuses all actions; Flower has the option since a version after 2.0."""
        return bool(getattr(self.application.options, "read_only", False))

    @property
    def may_act(self) -> bool:
        """Whether the actions are open to the user who asks, as Flower's own are."""
        return not self.read_only and (self.guarded or access.is_open_to_all())

    @property
    def who(self) -> str:
        """The user who asks, for the ledger: Flower's user, where it has one."""
        user = self.current_user
        if isinstance(user, bytes):
            user = user.decode()
        elif not isinstance(user, str):
            user = ""
            scheme, _, credentials = self.request.headers.get("Authorization", "").partition(" ")
            if self.application.options.basic_auth and scheme == "Basic":
                user = b64decode(credentials).decode().partition(":")[0]
        return f"flower:{user or 'anonymous'}"[:200]


class Page(OfProcesses, BaseHandler):
    """A page; with `?json=1` its data as JSON, for its script, and for everybody to whom the API is open."""

    template = "processes.html"

    @web.authenticated
    async def get(self, name: str = "") -> None:
        """Answer the page, or its JSON."""
        as_json = self.get_query_argument("json", "") == "1"
        if as_json and not (self.guarded or access.is_open_to_all() or access.PAGE_HEADER in self.request.headers):
            self.set_status(401)
            self.write({"error": access.CLOSED})
            return
        problem = "" if registry_of(self.application.capp) is not None else NO_PROCESSES
        if name and (problem or name not in self.board.processes):
            raise web.HTTPError(404, problem or f"There is no process {name!r:.120}")
        if as_json:
            await self._answer(self.board.one(name) if name else self.board.all())
            return
        prefix = self.application.options.url_prefix
        base = f"/{prefix.strip('/')}" if prefix else ""
        of_process = [verb for verb in actions().values() if verb.target is Target.PROCESS]
        self.render(self.template, base=base, process_name=name, may_act=self.may_act, problem=problem, verbs=of_process)

    async def _answer(self, document: Awaitable[Any]) -> None:
        try:
            self.write(await document)
        except ProcessError as error:
            self.set_status(http_status(error))
            self.write({"error": str(error)})


class ProcessesPage(Page):
    """All processes."""


class ProcessPage(Page):
    """One process."""

    template = "process.html"


class Api(OfProcesses, BaseApiHandler):
    """JSON; errors are JSON too, so that a browser never reads a text from outside as HTML."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer an error as JSON."""
        error = kwargs.get("exc_info", (None, None))[1]
        message = (error.log_message or error.reason) if isinstance(error, web.HTTPError) else str(error or "")
        self.set_status(status_code)
        if status_code == 401 and self.guarded:
            self.set_header("WWW-Authenticate", 'Basic realm="flower"')
        self.finish({"error": (message or self._reason).replace("%%", "%")})

    async def _answer(self, document: Awaitable[Any]) -> None:
        try:
            self.write(await document)
        except ProcessError as error:
            raise web.HTTPError(http_status(error), str(error)) from error


class ListProcesses(Api):
    """`GET /api/processes`."""

    @web.authenticated
    async def get(self) -> None:
        """Answer the overview of every process."""
        await self._answer(self.board.all())


class ShowProcess(Api):
    """`GET /api/processes/<name>`."""

    @web.authenticated
    async def get(self, name: str) -> None:
        """Answer one process: its overview, run, failing items, runs, slots and settings."""
        await self._answer(self.board.one(name))


class Health(Api):
    """`GET /processes/health`: the findings of `process doctor`, with the status 503 where something is wrong."""

    @web.authenticated
    async def get(self) -> None:
        """Answer the findings, each fault with its cure."""
        found = await self.board.health()
        self.set_status(200 if found["ok"] else 503)
        self.write(found)


class ActOnProcess(Api):
    """`POST /api/processes/<name>/<verb>`, such as `pause`, with what the verb takes, `note` or `run`, in the form."""

    acts = True

    @web.authenticated
    async def post(self, name: str, action: str) -> None:
        """Do what the verb says, as the user that Flower knows, and answer the run that it began or acted on."""
        if self.read_only:
            raise web.HTTPError(403, "Read only mode is enabled")
        if name not in self.board.processes:
            raise web.HTTPError(404, f"There is no process {name!r:.120}")
        if action not in actions():
            raise web.HTTPError(404, f"There is no action {action!r:.40}; there are {', '.join(actions())}")
        verb = actions()[action]
        request = Request(by=self.who, note=self.get_body_argument("note", ""), run=self.get_body_argument("run", ""))
        extra = log_fields(f"flower_{action}", process_name=name, by=self.who)
        logger.info("%s of %s by %s", action, name, self.who, extra=extra)
        await self._answer(self._act(name, verb, request))

    async def _act(self, name: str, verb: Verb, request: Request) -> dict[str, Any]:
        done = await self.board.act(name, lambda process: verb.act(process, request))
        text = verb.nothing if done is None else f"{mask_fact(str(done.text), Fact.NOTES, READER)}."
        run = None if done is None else plain(mask_for(done.run, READER))
        return {"process": name, "action": verb.name, "text": text, "run": run}


class Assets(web.StaticFileHandler):
    """The style and the script of the pages."""

    def initialize(self) -> None:  # type: ignore[override]
        """Serve the folder beside this file; under --url_prefix Flower drops a route's arguments."""
        super().initialize(path=str(Path(__file__).parent / "assets"))

    def set_extra_headers(self, path: str) -> None:  # noqa: ARG002
        """Forbid browsers to guess types."""
        self.set_header("X-Content-Type-Options", "nosniff")
