"""Recurring work for Celery."""
