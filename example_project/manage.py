"""Django's commands for the example: `python example_project/manage.py demo` seeds it and starts all of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    # This file's own folder is what Python put there; the packages of the example are found from the one above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.access.settings")
    execute_from_command_line(sys.argv)
