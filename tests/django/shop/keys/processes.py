from datetime import timedelta

from celery_process import shared_process
from django.utils import timezone


@shared_process("key-gc", schedule=timedelta(hours=1), settings={"key_ttl": 3600})
def collect_keys(work):
    from keys.models import Key

    old = timezone.now() - timedelta(seconds=work.params["key_ttl"])
    removed, _ = Key.objects.filter(project__name=work.name, made_at__lt=old).delete()
    work.add_stats("keys_removed", removed)


@collect_keys.cleanup
def remove_keys(work):
    from keys.models import Key

    Key.objects.filter(project__name=work.name).delete()
