"""Settings: a database in a file and messages in a folder, unless the environment names PostgreSQL and a broker.

`EXAMPLE_DATABASE_URL`, `EXAMPLE_BROKER_URL` and `EXAMPLE_FOLDER` are all it reads. For a demonstration on one machine:
the secret key is none, and `manage.py seed` makes a user whose password everybody knows.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from example_project.development import development_broker

FOLDER = Path(os.environ.get("EXAMPLE_FOLDER") or Path(__file__).parents[2] / ".example").resolve()


def _database() -> dict[str, Any]:
    """Return the database that the environment names, else a file."""
    url = urlsplit(os.environ.get("EXAMPLE_DATABASE_URL", ""))
    if url.scheme == "postgresql":
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": url.path.lstrip("/"),
            "USER": unquote(url.username or ""),
            "PASSWORD": unquote(url.password or ""),
            "HOST": url.hostname or "",
            "PORT": url.port or "",
        }
    FOLDER.mkdir(parents=True, exist_ok=True)
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / "access.sqlite3",
        # One file, written by web, worker and beat: a block that reads first waits for its turn, and does not fail.
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode = WAL", "timeout": 20},
    }


SECRET_KEY = "for a demonstration only"  # noqa: S105 - as it says
DEBUG = False  # in a worker it would keep every query
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]", "testserver"]
ROOT_URLCONF = "example_project.access.urls"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_celery_beat",
    "celery_process.contrib.django",
    "example_project.access",
    "example_project.keys",
    "example_project.realms",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
STATIC_URL = "static/"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": _database()}

CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_CONCURRENCY = 2
CELERY_PROCESS_BACKEND = "django://default"
CELERY_PROCESS_SWEEP_INTERVAL = 2
if broker := os.environ.get("EXAMPLE_BROKER_URL"):
    CELERY_BROKER_URL = broker
else:
    _broker = development_broker(FOLDER)
    CELERY_BROKER_URL = _broker["broker_url"]
    CELERY_BROKER_TRANSPORT_OPTIONS = _broker["broker_transport_options"]
