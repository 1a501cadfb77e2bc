"""How a run goes: a trigger claims a slot, items go out in batches, are claimed, worked and reported; the sweep repairs.

No Celery and no driver in here: a store is what it is given, and messages leave by the callables that it is given.
"""
