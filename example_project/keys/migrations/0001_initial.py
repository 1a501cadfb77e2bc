"""Projects, accounts and keys."""

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """The first tables."""

    initial = True

    operations = [
        migrations.CreateModel(
            name="Project",
            fields=[
                ("name", models.SlugField(max_length=100, primary_key=True, serialize=False)),
                (
                    "keys_per_account",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Keys that an account may keep; empty: as the settings of key-gc say.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
            ],
            options={
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="ServiceAccount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("project", models.CharField(db_index=True, max_length=100)),
                ("email", models.EmailField(max_length=254, unique=True)),
                (
                    "managed",
                    models.BooleanField(default=True, help_text="Made by this system; what others made is left alone."),
                ),
                ("on_hold", models.BooleanField(default=False, help_text="Neither it nor its keys may be removed.")),
            ],
            options={
                "ordering": ("project", "email"),
            },
        ),
        migrations.CreateModel(
            name="Key",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("made_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="keys", to="keys.serviceaccount"
                    ),
                ),
            ],
            options={
                "ordering": ("account", "-made_at"),
                "indexes": [models.Index(fields=["account", "-made_at"], name="key_newest_idx")],
            },
        ),
    ]
