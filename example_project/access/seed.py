"""What a demonstration starts with: some projects, keys of all ages, and a realm that is being removed."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from example_project.keys.lifetimes import update_settings
from example_project.keys.models import Key, Project, ServiceAccount
from example_project.realms.models import Identity, Operation, Realm
from example_project.realms.operations import request_removal

LOGIN = "demo"
"""Name and password of the user who may do everything."""
PROJECTS = {"apollo": None, "gemini": 2, "mercury": None}
LEAVING, HELD = "skylab", "held@apollo.example.org"
ACCOUNTS, IDENTITIES = 3, 1800
MAX_REQUESTED_TTL, KEYS_PER_ACCOUNT = timedelta(seconds=90), 10
"""They make a key live for 100 s, and the process run each 10."""
AGES = (1, 20, 40, 60, 80, 150, 300, 3600)
"""Seconds: the keys that each account gets. Three are past their time, the others will be while one looks on."""


def seed() -> Operation:
    """Fill the database, each time with new keys, one project to go and one realm to go; return the operation on it."""
    users = get_user_model().objects
    if not users.filter(username=LOGIN).exists():
        users.create_superuser(LOGIN, f"{LOGIN}@example.org", LOGIN)
    with transaction.atomic():
        update_settings(MAX_REQUESTED_TTL, KEYS_PER_ACCOUNT, by="seed", using="default")
        for name, keys_per_account in PROJECTS.items():
            Project.objects.update_or_create(name=name, defaults={"keys_per_account": keys_per_account})
            add_accounts(name)
        Project.objects.create(name=LEAVING)
        add_accounts(LEAVING)
        Project.objects.get(name=LEAVING).delete()
        held, _ = ServiceAccount.objects.get_or_create(email=HELD, project="apollo", on_hold=True)
        add_keys(held)
        realm = Realm.objects.create(name=f"trial-{timezone.now():%Y%m%d-%H%M%S-%f}")
        Identity.objects.bulk_create(Identity(realm=realm, subject=f"visitor-{number}") for number in range(IDENTITIES))
        return request_removal(realm.name, by=LOGIN)


def add_accounts(project: str) -> None:
    """Give a project its accounts, and each of them keys."""
    for number in range(1, ACCOUNTS + 1):
        account, _ = ServiceAccount.objects.get_or_create(email=f"robot-{number}@{project}.example.org", project=project)
        add_keys(account)


def add_keys(account: ServiceAccount) -> None:
    """Give an account keys of all ages."""
    now = timezone.now()
    Key.objects.bulk_create(Key(account=account, made_at=now - timedelta(seconds=age)) for age in AGES)
