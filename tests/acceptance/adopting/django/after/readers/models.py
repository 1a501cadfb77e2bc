from django.db import models


class Reader(models.Model):
    address = models.EmailField(unique=True)
    bounced = models.BooleanField(default=False)


class Delivery(models.Model):
    address = models.EmailField()
