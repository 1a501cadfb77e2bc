"""A broker without a server, for development: Celery's `filesystem://` transport in a folder of the project.

It is the one transport that needs no server and still serves several operating-system processes, beat, `inspect` and
Flower. It polls once a second and loses what a killed worker had taken, so it is not for production.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def development_broker(folder: Path) -> dict[str, Any]:
    """Make the folders that the transport needs, which it does not make itself, and return Celery's settings for it."""
    messages, control = folder / "messages", folder / "control"
    for path in (messages, control):
        path.mkdir(parents=True, exist_ok=True)
    return {
        "broker_url": "filesystem://",
        # One folder for both directions: what is sent is what is received.
        "broker_transport_options": {
            "data_folder_in": str(messages),
            "data_folder_out": str(messages),
            "control_folder": str(control),
        },
    }
