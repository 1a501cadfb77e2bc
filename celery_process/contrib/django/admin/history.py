"""The history of a process: who did what from its pages, without the facts that the reading user may not see."""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpRequest, HttpResponse

from celery_process.contrib.django.admin.base import Base
from celery_process.monitor.secrets import Fact, Reader, may_see

_ITEMS = re.compile(r"^((?:Registered|Unregistered) \d+ of \d+):.*", re.DOTALL)
_SETTINGS = re.compile(r"^(Stored settings version \d+);.*", re.DOTALL)
DETAILS = {Fact.NAMES: _ITEMS, Fact.SETTINGS: _SETTINGS}
"""The facts in a log message, by pattern: all that follows the words for what was done."""


class HistoryPages(Base):
    """The page of the admin's log."""

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the log of a process."""
        answer = super().history_view(request, object_id, extra_context)
        hidden = [
            pattern
            for fact, pattern in DETAILS.items()
            if not may_see(Reader.ADMIN, fact, lambda noun: self.may(request, noun))
        ]
        actions = getattr(answer, "context_data", {}).get("action_list")
        if hidden and actions is not None:
            actions.object_list = list(actions.object_list)
            for entry in actions.object_list:
                for pattern in hidden:
                    entry.change_message = pattern.sub(r"\1", entry.change_message)
        return answer
