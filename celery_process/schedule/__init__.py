"""When a process runs: the slots of a schedule, the zone they are counted in, and what may be a schedule.

Pure functions of time: no store, and of Celery only its classes of schedules.
"""
