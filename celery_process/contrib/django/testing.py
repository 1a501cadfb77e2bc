"""For the tests of a project: its processes write inside Django's transaction of a test, and are rolled back with it.

```python
class SignUpTests(SharedConnectionMixin, TestCase): ...


@pytest.fixture(autouse=True)
def processes_share_the_connection(db):  # with pytest-django, in conftest.py
    with shared_connection():
        yield
```
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from celery_process.contrib.django.databases import shared


def shared_connection() -> AbstractContextManager[None]:
    """Make stores `django://…` use Django's own connection of this thread inside the block, for every operation.

    What a process writes, with or without `using`, then belongs to the open transaction, and its reads and runs see what
    is not committed. An SQLite database in memory works too. Runs need `task_always_eager`, since no other thread and no
    worker sees that transaction: in other threads the store raises `StoreUnavailable`.
    """
    return shared()


class SharedConnectionMixin:
    """For test cases: `shared_connection()` from `setUpTestData` to the end of the class. Goes before `TestCase`."""

    @classmethod
    def setUpClass(cls) -> None:
        """Share the connection until the class's own clean-up has ended."""
        case: Any = cls
        case.enterClassContext(shared_connection())
        super().setUpClass()  # type: ignore[misc]
