"""`path("", include("celery_process.contrib.django.urls"))` adds `/processes`, `/processes/<name>` and probes."""

from django.urls import path

from celery_process.contrib.django import views

app_name = "celery_process"
urlpatterns = (
    path("processes", views.processes, name="processes"),
    path("processes/live", views.live, name="live"),
    path("processes/health", views.health, name="health"),
    path("processes/<path:name>", views.process, name="process"),
)
