"""How a run goes: a trigger claims a slot, items are published in batches, claimed, worked and reported; the sweep repairs.

No Celery and no driver in here: each module takes a store, and a `Port` that sends messages and emits events.
"""
