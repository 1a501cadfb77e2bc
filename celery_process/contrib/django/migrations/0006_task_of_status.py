"""The token of an item's last attempt, by which its Celery task is known."""

from __future__ import annotations

from django.db import migrations, models

from celery_process.contrib.django.tables import downgrade, upgrade


class Migration(migrations.Migration):
    """Version 5 of the tables."""

    dependencies = (("celery_process", "0005_late_slots"),)
    operations = (
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(upgrade(5), downgrade(5, "status.token"))],
            state_operations=[migrations.AddField("status", "token", models.CharField(max_length=191, null=True))],
        ),
    )
