"""A slot may end as late."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """A word more for the ledger; the tables stay as they are."""

    dependencies = (("celery_process", "0004_limit_broken"),)
    operations = (
        migrations.AlterField(
            "slot",
            "slot_end",
            models.CharField(
                choices=[
                    ("ran", "ran"),
                    ("overlapped", "overlapped"),
                    ("paused", "paused"),
                    ("declined", "declined"),
                    ("too late", "too late"),
                    ("late", "late"),
                    ("missed", "missed"),
                ],
                max_length=16,
            ),
        ),
    )
