"""A Django project with two processes: `key-gc` over its projects, `operations` over its long-running operations."""

from example_project.access.celery import app as celery_app

__all__ = ["celery_app"]
