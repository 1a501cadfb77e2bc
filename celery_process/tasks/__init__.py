"""The Celery side of the engine: tasks, publishing, events, the sweep's timer, and the checks of a worker that starts."""
