"""Examples of celery_process that run without any server."""
