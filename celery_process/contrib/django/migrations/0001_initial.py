"""The tables, as the store makes them; the operations below tell Django's state of them."""

from __future__ import annotations

from django.db import migrations, models

from celery_process.contrib.django.tables import drop, upgrade


class Migration(migrations.Migration):
    """Version 1 of the tables."""

    initial = True
    dependencies = ()
    operations = (
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(upgrade(1), drop)],
            state_operations=[
                migrations.CreateModel(
                    name="Item",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("process", models.CharField(max_length=191)),
                        ("epoch", models.BigIntegerField()),
                        ("name", models.CharField(max_length=191)),
                        ("page_id", models.BigIntegerField()),
                        (
                            "on_list",
                            models.CharField(
                                choices=[("active", "active"), ("cleanup", "cleanup"), ("dropped", "dropped")], max_length=16
                            ),
                        ),
                        ("params_version", models.BigIntegerField()),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("pending", "pending"),
                                    ("claimed", "claimed"),
                                    ("done", "done"),
                                    ("cancelled", "cancelled"),
                                    ("lost", "lost"),
                                    ("removed", "removed"),
                                ],
                                max_length=16,
                            ),
                        ),
                        ("token", models.CharField(max_length=191)),
                        ("sequence", models.BigIntegerField()),
                        ("attempt", models.IntegerField()),
                        ("lease_until", models.BigIntegerField(blank=True, null=True)),
                        ("started_at", models.BigIntegerField(blank=True, null=True)),
                        ("finished_at", models.BigIntegerField(blank=True, null=True)),
                        ("dispatched_at", models.BigIntegerField(blank=True, null=True)),
                        ("dispatches", models.IntegerField()),
                        (
                            "outcome",
                            models.CharField(
                                choices=[
                                    ("NEW", "NEW"),
                                    ("ACTIVE", "ACTIVE"),
                                    ("ABORTED", "ABORTED"),
                                    ("INCOMPLETE", "INCOMPLETE"),
                                    ("COMPLETED", "COMPLETED"),
                                ],
                                max_length=16,
                                null=True,
                            ),
                        ),
                        ("totals", models.TextField()),
                        ("error_count", models.BigIntegerField()),
                        ("errors", models.TextField()),
                        ("last_error_at", models.BigIntegerField(blank=True, null=True)),
                    ],
                    options={
                        "verbose_name": "item",
                        "verbose_name_plural": "items",
                        "db_table": "cp_item",
                        "default_permissions": ("view",),
                        "indexes": [models.Index(fields=["page_id"], name="cp_item_page_idx")],
                        "constraints": [models.UniqueConstraint(fields=("process", "epoch", "name"), name="cp_item_key")],
                    },
                ),
                migrations.CreateModel(
                    name="TableVersion",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("name", models.CharField(max_length=191)),
                        ("number", models.BigIntegerField()),
                    ],
                    options={
                        "verbose_name": "version of the tables",
                        "verbose_name_plural": "versions of the tables",
                        "db_table": "cp_meta",
                        "default_permissions": (),
                        "constraints": [models.UniqueConstraint(fields=("name",), name="cp_meta_key")],
                    },
                ),
                migrations.CreateModel(
                    name="Page",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("process", models.CharField(max_length=191)),
                        ("epoch", models.BigIntegerField()),
                        ("page", models.IntegerField()),
                        ("token", models.CharField(max_length=191)),
                        (
                            "on_list",
                            models.CharField(
                                choices=[("active", "active"), ("cleanup", "cleanup"), ("dropped", "dropped")], max_length=16
                            ),
                        ),
                        ("opened_at", models.BigIntegerField()),
                        ("is_open", models.BooleanField()),
                    ],
                    options={
                        "verbose_name": "page",
                        "verbose_name_plural": "pages",
                        "db_table": "cp_page",
                        "default_permissions": ("view",),
                        "constraints": [
                            models.UniqueConstraint(fields=("process", "epoch", "page"), name="cp_page_key"),
                            models.UniqueConstraint(fields=("process", "epoch", "token"), name="cp_page_token_key"),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Process",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("name", models.CharField(max_length=191)),
                        ("epoch", models.BigIntegerField()),
                        ("last_slot", models.BigIntegerField(blank=True, null=True)),
                        ("schedule_rule", models.TextField()),
                        ("paused_at", models.BigIntegerField(blank=True, null=True)),
                        ("pause_note", models.TextField()),
                        ("paused_by", models.TextField()),
                        ("aggregate_stats", models.TextField()),
                        ("swept_at", models.BigIntegerField(blank=True, null=True)),
                        ("purge_due", models.BooleanField()),
                    ],
                    options={
                        "verbose_name": "process",
                        "verbose_name_plural": "processes",
                        "db_table": "cp_process",
                        "default_permissions": ("view", "change"),
                        "constraints": [models.UniqueConstraint(fields=("name",), name="cp_process_key")],
                    },
                ),
                migrations.CreateModel(
                    name="Run",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("process", models.CharField(max_length=191)),
                        ("epoch", models.BigIntegerField()),
                        ("run_uuid", models.CharField(max_length=191)),
                        ("slot", models.BigIntegerField()),
                        ("generation", models.IntegerField()),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("ACTIVE", "ACTIVE"),
                                    ("ABORTING", "ABORTING"),
                                    ("COMPLETED", "COMPLETED"),
                                    ("INCOMPLETE", "INCOMPLETE"),
                                    ("ABORTED", "ABORTED"),
                                ],
                                max_length=16,
                            ),
                        ),
                        ("reason", models.CharField(max_length=32)),
                        ("defaults", models.TextField()),
                        ("settings_version", models.BigIntegerField()),
                        ("work_limit", models.BigIntegerField(null=True)),
                        ("error_limit", models.BigIntegerField(null=True)),
                        ("redrives", models.TextField()),
                        ("listed_before", models.BigIntegerField()),
                        ("cursor_list", models.CharField(max_length=16, null=True)),
                        ("cursor_name", models.CharField(max_length=191)),
                        ("pages_made", models.IntegerField()),
                        ("pages_open", models.IntegerField()),
                        ("started_at", models.BigIntegerField()),
                        ("progress_at", models.BigIntegerField()),
                        ("finished_at", models.BigIntegerField(blank=True, null=True)),
                        ("notified_at", models.BigIntegerField(blank=True, null=True)),
                        ("counts", models.TextField()),
                        ("stats", models.TextField()),
                        ("total_errors", models.BigIntegerField()),
                        ("errors", models.TextField()),
                        ("last_error_at", models.BigIntegerField(blank=True, null=True)),
                        ("items_purged", models.BooleanField()),
                    ],
                    options={
                        "verbose_name": "run",
                        "verbose_name_plural": "runs",
                        "db_table": "cp_run",
                        "default_permissions": ("view", "change"),
                        "constraints": [
                            models.UniqueConstraint(fields=("process", "epoch"), name="cp_run_key"),
                            models.UniqueConstraint(fields=("process", "slot", "generation"), name="cp_run_slot_key"),
                            models.UniqueConstraint(fields=("process", "run_uuid"), name="cp_run_uuid_key"),
                        ],
                    },
                ),
                migrations.CreateModel(
                    name="Settings",
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
                        "verbose_name": "settings",
                        "verbose_name_plural": "settings",
                        "db_table": "cp_settings",
                        "default_permissions": ("view", "change"),
                        "constraints": [models.UniqueConstraint(fields=("process",), name="cp_settings_key")],
                    },
                ),
                migrations.CreateModel(
                    name="Slot",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("process", models.CharField(max_length=191)),
                        ("slot", models.BigIntegerField()),
                        ("after_slot", models.BigIntegerField(blank=True, null=True)),
                        (
                            "slot_end",
                            models.CharField(
                                choices=[
                                    ("ran", "ran"),
                                    ("overlapped", "overlapped"),
                                    ("paused", "paused"),
                                    ("declined", "declined"),
                                    ("too late", "too late"),
                                    ("missed", "missed"),
                                ],
                                max_length=16,
                            ),
                        ),
                        ("noted_at", models.BigIntegerField()),
                        ("noted_by", models.TextField()),
                        ("run", models.CharField(max_length=191, null=True)),
                    ],
                    options={
                        "verbose_name": "slot",
                        "verbose_name_plural": "slots",
                        "db_table": "cp_slot",
                        "default_permissions": ("view",),
                        "constraints": [models.UniqueConstraint(fields=("process", "slot"), name="cp_slot_key")],
                    },
                ),
                migrations.CreateModel(
                    name="Status",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("process", models.CharField(max_length=191)),
                        ("name", models.CharField(max_length=191)),
                        ("params_version", models.BigIntegerField()),
                        ("epoch", models.BigIntegerField()),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("NEW", "NEW"),
                                    ("ACTIVE", "ACTIVE"),
                                    ("ABORTED", "ABORTED"),
                                    ("INCOMPLETE", "INCOMPLETE"),
                                    ("COMPLETED", "COMPLETED"),
                                ],
                                max_length=16,
                            ),
                        ),
                        ("stats", models.TextField()),
                        ("errors", models.TextField()),
                        ("error_count", models.BigIntegerField()),
                        ("last_error_at", models.BigIntegerField(blank=True, null=True)),
                        ("started_at", models.BigIntegerField(blank=True, null=True)),
                        ("finished_at", models.BigIntegerField(blank=True, null=True)),
                        ("attempt", models.IntegerField()),
                    ],
                    options={
                        "verbose_name": "status",
                        "verbose_name_plural": "statuses",
                        "db_table": "cp_status",
                        "default_permissions": ("view",),
                        "constraints": [models.UniqueConstraint(fields=("process", "name"), name="cp_status_key")],
                    },
                ),
                migrations.CreateModel(
                    name="Work",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("process", models.CharField(max_length=191)),
                        ("name", models.CharField(max_length=191)),
                        (
                            "on_list",
                            models.CharField(
                                choices=[("active", "active"), ("cleanup", "cleanup"), ("dropped", "dropped")], max_length=16
                            ),
                        ),
                        ("listed_at", models.BigIntegerField()),
                        ("params", models.TextField()),
                        ("params_version", models.BigIntegerField()),
                    ],
                    options={
                        "verbose_name": "work item",
                        "verbose_name_plural": "work items",
                        "db_table": "cp_work",
                        "default_permissions": ("view", "change"),
                        "indexes": [
                            models.Index(fields=["process", "on_list", "name"], name="cp_work_list_idx"),
                            models.Index(fields=["process", "params_version"], name="cp_work_changed_idx"),
                        ],
                        "constraints": [models.UniqueConstraint(fields=("process", "name"), name="cp_work_key")],
                    },
                ),
            ],
        ),
    )
