import os

SECRET_KEY = "not a secret"
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "readers",
    "celery_process.contrib.django",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["DIGEST_DATABASE"],
        "OPTIONS": {"transaction_mode": "IMMEDIATE"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CELERY_BROKER_URL = os.environ["DIGEST_BROKER"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_PROCESS_BACKEND = "django://default"
CELERY_BEAT_SCHEDULE = {
    "tidy": {"task": "readers.tasks.tidy", "schedule": 1.0},
}
