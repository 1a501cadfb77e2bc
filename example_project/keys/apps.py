"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class KeysConfig(AppConfig):
    """Follows projects as they come and go."""

    name = "example_project.keys"
    verbose_name = "Keys"

    def ready(self) -> None:
        """Connect the receivers."""
        from example_project.keys import registration  # noqa: F401, PLC0415 - connects itself; needs the models
