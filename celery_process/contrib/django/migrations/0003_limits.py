"""The limits of a process, and its pace under a rate."""

from __future__ import annotations

from django.db import migrations, models

from celery_process.contrib.django.tables import downgrade, upgrade


class Migration(migrations.Migration):
    """Version 3 of the tables."""

    dependencies = (("celery_process", "0002_settings_version"),)
    operations = (
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(upgrade(3), downgrade(3, "process.limits", "process.pace"))],
            state_operations=[
                migrations.AddField("process", name, models.TextField(null=True)) for name in ("limits", "pace")
            ],
        ),
    )
