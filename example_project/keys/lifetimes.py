"""The settings of `key-gc`: how long a key lives, and how often that has to be looked at."""

from __future__ import annotations

from datetime import timedelta

from example_project.access.celery import processes

SECOND = timedelta(seconds=1)
LONGEST_SCHEDULE = timedelta(hours=12)


def lifetimes(max_requested_ttl: timedelta, keys_per_account: int) -> dict[str, int]:
    """Return the settings for accounts that hold so many keys, each of which may be handed out for so long.

    An account has a new key each n-th of that time, so a key is handed out for so long after it was made, and then has to
    last for the whole of it. The second makes up for what was rounded off.
    """
    key_ttl = max_requested_ttl + max_requested_ttl / keys_per_account + SECOND
    return {
        "maxRequestedTtl": max_requested_ttl // SECOND,
        "keysPerAccount": keys_per_account,
        "keyTtl": key_ttl // SECOND,
    }


def update_settings(
    max_requested_ttl: timedelta, keys_per_account: int, *, by: str = "", using: str | None = None
) -> timedelta:
    """Store the settings and the schedule that follows from them: a tenth of a key's life, at most 12 hours; return it."""
    settings = lifetimes(max_requested_ttl, keys_per_account)
    schedule = min(settings["keyTtl"] * SECOND / 10, LONGEST_SCHEDULE)
    processes["key-gc"].update_settings(settings, schedule=schedule, by=by, using=using)
    return schedule
