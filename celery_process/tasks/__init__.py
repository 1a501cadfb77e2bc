"""The Celery side of the engine: its tasks, how they are published, the events, and what a worker looks at first."""
