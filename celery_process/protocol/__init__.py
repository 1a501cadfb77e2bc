"""The run protocol: the states of runs, items and slots, the decisions about them, and the dataclasses that people read.

Pure functions of values: no store, no Celery, no clock of its own.
"""
