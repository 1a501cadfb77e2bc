"""Play each scene in a child of this interpreter, in which Django is set up."""

from __future__ import annotations

import json
import os
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from example_scenes import keys, realms


def project() -> Any:
    """Ask Django what it finds: nothing that a migration would have to change, and nothing wrong."""
    call_command("makemigrations", check_changes=True, dry_run=True)
    call_command("check", fail_level="WARNING")
    return "all is well"


SCENES: tuple[Callable[[], Any], ...] = (
    keys.key_run,
    keys.key_totals,
    keys.key_settings,
    keys.key_params,
    keys.key_on_hold,
    keys.key_wait,
    keys.registration,
    realms.realm_removal,
    realms.realm_batches,
    realms.many_operations,
    realms.realm_wait,
    realms.unknown_operation,
    realms.failing_batch,
    realms.taken_over,
    realms.half_an_end,
    realms.withdrawn,
    realms.admin,
    project,
)


def play() -> None:
    """Play each scene in a child of this interpreter; what came of it goes to NAME.json, what went wrong to NAME.error."""
    call_command("migrate", verbosity=0)
    connections.close_all()
    for scene in SCENES:
        if child := os.fork():
            os.waitpid(child, 0)
            continue
        file = Path(shutil.copy(settings.DATABASES["default"]["NAME"], settings.FOLDER / f"{scene.__name__}.sqlite3"))
        connections["default"].settings_dict["NAME"] = file
        try:
            text, suffix = json.dumps(scene()), ".json"
        except BaseException:
            text, suffix = traceback.format_exc(), ".error"
        file.with_suffix(suffix).write_text(text)
        os._exit(0)


if __name__ == "__main__":
    play()
