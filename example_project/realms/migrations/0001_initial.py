"""Realms, identities and operations."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """The first tables."""

    initial = True

    operations = [
        migrations.CreateModel(
            name="Operation",
            fields=[
                ("name", models.CharField(max_length=191, primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=40)),
                ("label", models.CharField(max_length=200)),
                ("realm", models.CharField(max_length=100)),
                ("requested_by", models.CharField(blank=True, max_length=150)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("active", "Active"),
                            ("incomplete", "Incomplete"),
                            ("aborted", "Aborted"),
                            ("completed", "Completed"),
                        ],
                        default="queued",
                        max_length=16,
                    ),
                ),
                ("items_removed", models.PositiveIntegerField(default=0)),
                ("requested_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("started_at", models.DateTimeField(null=True)),
                ("worked_at", models.DateTimeField(db_index=True, null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("fence", models.BigIntegerField(default=0, help_text="The highest fencing token that worked on it.")),
            ],
            options={
                "ordering": ("-requested_at",),
            },
        ),
        migrations.CreateModel(
            name="Realm",
            fields=[
                ("name", models.SlugField(max_length=100, primary_key=True, serialize=False)),
            ],
            options={
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="Identity",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("subject", models.CharField(max_length=100)),
                ("realm", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="realms.realm")),
            ],
            options={
                "verbose_name_plural": "identities",
                "constraints": [models.UniqueConstraint(fields=("realm", "subject"), name="identity_key")],
            },
        ),
    ]
