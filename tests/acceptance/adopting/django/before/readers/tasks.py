from celery import shared_task

from readers.models import Delivery, Reader


@shared_task
def tidy():
    Reader.objects.filter(bounced=True).delete()


@shared_task
def send_digests():
    for reader in Reader.objects.all():
        send_digest.delay(reader.address)


@shared_task
def send_digest(address):
    Delivery.objects.create(address=address)
