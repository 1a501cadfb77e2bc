"""Processes in Flower: `pip install 'celery-process[flower]'`, then a plain `celery -A proj flower` shows them.

`hook` adds the pages to Flower, `handlers` answer requests, `board` reads the store. The rest of the library does not
import them.
"""

from __future__ import annotations

from celery_process.contrib.flower.hook import install

__all__ = ["install"]
