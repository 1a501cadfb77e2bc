import os

from celery import Celery
from celery_process import Processes

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "digest.settings")
app = Celery("digest")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
processes = Processes(app)
