"""The run protocol: the states of runs, items and slots, what follows on what, and what people read of it.

Pure decisions over values: no store, no Celery, no clock of its own.
"""
