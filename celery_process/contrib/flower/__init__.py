"""Processes in Flower: `pip install 'celery-process[flower]'`, then a plain `celery -A proj flower` shows them.

`hook` is how the pages get in, `handlers` what they answer, `board` what they read. Nobody inside the library knows them.
"""

from __future__ import annotations

from celery_process.contrib.flower.hook import install

__all__ = ["install"]
