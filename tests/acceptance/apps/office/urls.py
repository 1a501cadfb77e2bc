"""The admin, under a policy that allows no script or style that stands in a page."""

import office  # noqa: F401 - as a project's __init__ imports its app
from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]


def strict(get_response):
    """Send the policy with each page."""

    def respond(request):
        response = get_response(request)
        response["Content-Security-Policy"] = "default-src 'self'; img-src 'self' data:"
        return response

    return respond
