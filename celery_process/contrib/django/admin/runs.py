"""Runs with their errors, and the ledger of slots."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_noop as _

from celery_process.contrib.django.admin.base import Base, guarded
from celery_process.contrib.django.admin.overview import safely
from celery_process.contrib.django.words import sentence
from celery_process.exceptions import InvalidValue
from celery_process.instants import from_us, to_us
from celery_process.monitor.details import failing
from celery_process.monitor.secrets import Reader, mask_for
from celery_process.process import Process

PAGE = 50
LATEST = to_us(from_us(0).replace(year=9999))


def _before(request: HttpRequest) -> int | None:
    text = request.GET.get("before", "")
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 18 or int(text) > LATEST:
        raise InvalidValue(
            f"{text!r:.40} is no place in this list; begin with its first page.", argument="before", value=text
        )
    return int(text)


class RunPages(Base):
    """The pages of runs and slots."""

    @safely
    @guarded("run")
    def runs_view(self, request: HttpRequest, process: Process) -> HttpResponse:
        """Show a page of runs, newest first; `?before=` selects the next page."""
        found = process.store.runs(process.name, before=_before(request), limit=PAGE + 1)
        before = found[PAGE - 1].epoch if len(found) > PAGE else None
        return self.page(
            request,
            "runs",
            process,
            title=sentence(_("Runs of %(process)s"), process=process.name),
            runs=found[:PAGE],
            before=before,
        )

    @safely
    @guarded("run")
    def run_view(self, request: HttpRequest, process: Process, run: str) -> HttpResponse:
        """Show a run: its numbers, and its errors with their items."""
        found = mask_for(process.store.run(process.name, run), Reader.ADMIN)
        return self.page(
            request,
            "run",
            process,
            title=sentence(_("Run %(run)s of %(process)s"), run=found.id, process=process.name),
            run=found,
            failing=failing(process, found, Reader.ADMIN),
        )

    @safely
    @guarded("slot")
    def slots_view(self, request: HttpRequest, process: Process) -> HttpResponse:
        """Show a page of the ledger, newest first; `?before=` selects the next page."""
        before = _before(request)
        found = process.store.slots(process.name, before=None if before is None else from_us(before), limit=PAGE + 1)
        following = to_us(found[PAGE - 1].slot) if len(found) > PAGE else None
        return self.page(
            request,
            "slots",
            process,
            title=sentence(_("Slots of %(process)s"), process=process.name),
            slots=found[:PAGE],
            before=following,
        )
