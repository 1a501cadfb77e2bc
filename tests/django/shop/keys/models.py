from django.db import models


class Project(models.Model):
    name = models.CharField(max_length=40, unique=True)


class Key(models.Model):
    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    made_at = models.DateTimeField()
