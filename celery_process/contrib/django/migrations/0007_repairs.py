"""What sweeps did to a run, until it is told."""

from __future__ import annotations

from django.db import migrations, models

from celery_process.contrib.django.tables import downgrade, upgrade


class Migration(migrations.Migration):
    """Version 6 of the tables."""

    dependencies = (("celery_process", "0006_task_of_status"),)
    operations = (
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(upgrade(6), downgrade(6, "run.repairs"))],
            state_operations=[migrations.AddField("run", "repairs", models.TextField(null=True))],
        ),
    )
