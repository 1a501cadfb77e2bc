"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class RealmsConfig(AppConfig):
    """Nothing but a name."""

    name = "example_project.realms"
    verbose_name = "Realms"
