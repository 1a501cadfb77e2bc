"""The app of the tests of other schedulers: what they choose comes by the environment, as JSON of `app.conf`."""

from __future__ import annotations

import json
import os

from celery import Celery

from celery_process import Processes

CONF = json.loads(os.environ["CP_TEST_CONF"])
FOLDER = CONF.pop("folder")

if os.environ.get("CP_TEST_DJANGO"):
    import django
    from django.conf import settings

    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{FOLDER}/django.db"}},
        INSTALLED_APPS=["django_celery_beat"],
        USE_TZ=True,
        TIME_ZONE="UTC",
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    django.setup()

app = Celery("bazaar")
app.conf.update(CONF)
processes = Processes(app)


@processes.process("prices", schedule=1)
def check_prices(work):
    """Do nothing; the slots are what counts."""


@processes.process("stock", schedule=None)
def count_stock(work):
    """Do nothing; it has no row."""
