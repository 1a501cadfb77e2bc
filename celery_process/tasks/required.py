"""Checks Celery's own settings: with some values no item would be published, or no worker would accept it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from celery import Celery

from celery_process.exceptions import ConfigurationError

Messages = Mapping[str, Mapping[str, Any]]
"""The options with which each task is published, by its name."""


def _accepts_json(app: Celery, messages: Messages) -> None:  # noqa: ARG001
    accepted = app.conf.accept_content
    if not {"json", "application/json"} & set(accepted or ()):
        raise ConfigurationError(
            f"accept_content is {accepted!r:.99} and messages of processes are JSON, which workers refuse then; add 'json'.",
            setting="accept_content",
            value=accepted,
        )


def _routes_lead_somewhere(app: Celery, messages: Messages) -> None:
    for task, options in messages.items():
        try:
            app.amqp.router.route(dict(options), task)
        except Exception as error:
            raise ConfigurationError(
                f"Messages of {task} go to no queue of task_queues ({type(error).__name__}: {error}); add it, correct "
                "task_routes or the queue in task_options, or set task_create_missing_queues to True.",
                setting="task_queues",
                value=app.conf.task_queues,
            ) from error


REQUIRED: tuple[Callable[[Celery, Messages], None], ...] = (_accepts_json, _routes_lead_somewhere)
"""Each raises `ConfigurationError`, which ends with what to set."""


def check_required(app: Celery, messages: Messages) -> None:
    """Raise `ConfigurationError` if a setting of Celery's makes work impossible."""
    for check in REQUIRED:
        check(app, messages)
