from celery import shared_task
from celery_process import shared_process

from readers.models import Delivery, Reader


@shared_task
def tidy():
    Reader.objects.filter(bounced=True).delete()


@shared_process("digests", schedule=1)
def send_digest(work):
    Delivery.objects.create(address=work.name)
