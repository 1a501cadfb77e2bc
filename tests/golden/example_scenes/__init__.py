"""Scenes of the example's Django project, each on a database of its own; `test_example.py` says what has to come of them."""
