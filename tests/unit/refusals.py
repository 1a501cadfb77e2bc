"""How a call is refused: on one line that ends with what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from celery_process.exceptions import ProcessError


def refused(call: Callable[[], object], error: type[ProcessError]) -> ProcessError:
    """Call, and return the error, whose message is short and ends with what to do."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert type(caught.value) is error
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 500
    return caught.value
