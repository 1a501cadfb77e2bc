"""S11: what `import celery_process` costs over `import celery`, and that it imports no driver."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.figures import Figure, Options, spread

DRIVERS = ("redis", "valkey", "sqlalchemy", "psycopg", "pymysql", "django", "flower")


def _took(*modules: str) -> float:
    """Return the milliseconds between two clocks in a fresh interpreter, so that its own start is not in them."""
    lines = "; ".join(f"import {module}" for module in modules)
    code = f"import time; t = time.perf_counter(); {lines}; print(time.perf_counter() - t)"
    return float(_answer(code)) * 1_000


def _answer(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def importing(options: Options) -> list[Figure]:
    """S11: the time of an import, and its drivers."""
    differences, stock = [], []
    for _ in range(3 if options.quick else 21):
        # Celery's names are lazy: those that an app needs anyway are asked for, as a user's first line does.
        stock.append(_took("celery", "celery.app.base"))
        differences.append(_took("celery", "celery.app.base", "celery_process") - stock[-1])
        time.sleep(0.01)
    # Celery itself imports Django's package where it is installed.
    before = "import sys, celery.app.base; old = set(sys.modules); import celery_process"
    code = f"{before}; print(len((set(sys.modules) - old) & {set(DRIVERS)}))"
    drivers = float(_answer(code))
    return [
        spread("S11", "import celery, celery.app.base", stock, unit="ms"),
        spread("S11", "import celery_process over it", differences, unit="ms", most=40),
        spread("S11", "drivers imported", [drivers], most=0),
    ]
