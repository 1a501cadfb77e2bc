"""Texts for people: secrets masked, one line kept one line, commands to paste, log records and their fields.

Knows nothing of processes.
"""
