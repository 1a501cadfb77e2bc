"""Schedulers that keep beat's schedule in a database: one adapter a file, imported once its scheduler runs.

`merge` decides, `rows` says what an adapter does, `sync` does it every second beside beat.
"""
