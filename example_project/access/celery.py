"""The Celery app, as Celery's guide for Django has it, and its processes."""

from __future__ import annotations

import os

from celery import Celery

from celery_process import Processes

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.access.settings")
app = Celery("access")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
processes = Processes(app)
