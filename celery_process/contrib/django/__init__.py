"""An app for INSTALLED_APPS: tables by Django's migrations, the store `django://`, `processes.py`, a management command."""
