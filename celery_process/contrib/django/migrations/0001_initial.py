"""The tables, as the store makes them, and the model with the permissions."""

from __future__ import annotations

from django.db import migrations, models

from celery_process.contrib.django.tables import drop, upgrade


class Migration(migrations.Migration):
    """Version 1 of the tables."""

    initial = True
    dependencies = ()
    operations = (
        migrations.RunPython(upgrade(1), drop),
        migrations.CreateModel(
            name="Process",
            fields=[("name", models.CharField(max_length=191, primary_key=True, serialize=False))],
            options={
                "managed": False,
                "db_table": "cp_process",
                "base_manager_name": "objects",
                "default_manager_name": "objects",
                "verbose_name": "process",
                "verbose_name_plural": "processes",
                "default_permissions": ("view", "change"),
                "permissions": (
                    ("view_run", "Can view run"),
                    ("change_run", "Can change run"),
                    ("view_work", "Can view work item"),
                    ("change_work", "Can change work item"),
                    ("view_settings", "Can view settings"),
                    ("change_settings", "Can change settings"),
                    ("view_slot", "Can view slot"),
                ),
            },
        ),
    )
