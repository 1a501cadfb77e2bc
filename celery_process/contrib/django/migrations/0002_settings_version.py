"""The history of the settings, which begins with those in force."""

from __future__ import annotations

from django.db import migrations, models

from celery_process.contrib.django.tables import downgrade, upgrade


class Migration(migrations.Migration):
    """Version 2 of the tables."""

    dependencies = (("celery_process", "0001_initial"),)
    operations = (
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(upgrade(2), downgrade(2, "settings_version"))],
            state_operations=[
                migrations.CreateModel(
                    name="SettingsVersion",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("process", models.CharField(max_length=191)),
                        ("settings", models.TextField(null=True)),
                        ("schedule", models.TextField(null=True)),
                        ("version", models.BigIntegerField()),
                        ("changed_at", models.BigIntegerField()),
                        ("changed_by", models.TextField()),
                    ],
                    options={
                        "verbose_name": "settings version",
                        "verbose_name_plural": "settings versions",
                        "db_table": "cp_settings_version",
                        "default_permissions": ("view",),
                        "constraints": [
                            models.UniqueConstraint(fields=("process", "version"), name="cp_settings_version_key")
                        ],
                    },
                ),
            ],
        ),
    )
