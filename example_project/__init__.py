"""Examples of celery_process that run without any server: the quickstart, and a Django project."""
