from django.urls import include, path

urlpatterns = [path("", include("celery_process.contrib.django.urls"))]
