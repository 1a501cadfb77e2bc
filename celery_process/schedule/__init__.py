"""When a process runs: the slots of a schedule, the zone they are counted in, and what may be a schedule.

Pure decisions over time: no store, and of Celery only the schedules that it lets people write.
"""
