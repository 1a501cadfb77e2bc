"""The limit whose breach aborted a run."""

from __future__ import annotations

from django.db import migrations, models

from celery_process.contrib.django.tables import downgrade, upgrade


class Migration(migrations.Migration):
    """Version 4 of the tables."""

    dependencies = (("celery_process", "0003_limits"),)
    operations = (
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(upgrade(4), downgrade(4, "run.limit_broken"))],
            state_operations=[migrations.AddField("run", "limit_broken", models.TextField(null=True))],
        ),
    )
