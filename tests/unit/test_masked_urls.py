"""No error about a store's URL and no shown URL has its password, whatever is wrong with it."""

from __future__ import annotations

import pytest

from celery_process.exceptions import ProcessError
from celery_process.stores import open_store

SCHEMES = [
    "redis",
    "rediss",
    "valkey",
    "sentinel",
    "redis+cluster",
    "unix",
    "redis+socket",
    "sqlite",
    "postgresql",
    "postgresql+psycopg",
    "mysql+pymysql",
    "mariadb",
    "memory",
    "django",
    "nope",
    "redis+nope",
    "postgresql+asyncpg",
]
PASSWORDS = [f"1QZ{sign}XJV" for sign in ("", *"/?#@:[%;,=' \"\\", "//", "://")]
URLS = (
    "{s}://u:{p}@h/0",
    "{s}://:{p}@h/0",
    "{s}://u:{p}@h:x/0",
    "{s}://u:{p}@h/a/b/c",
    "{s}://u:{p}@h1:1;u:{p}@h2:2/0",
    "{s}://u:{p}@h1:1;{s}://u:{p}@h2:2/svc/0",
    "{s}://u:{p}@h1,u:{p}@h2/0",
    "{s}://h/0?password={p}",
    "{s}://h/0?passwd={p}",
    "{s}://h/0?ssl_key_password={p}",
    "{s}://h/svc?sentinel_password={p}",
    "{s}://h/db?sslpassword={p}&x=1",
    "{s}:u:{p}@h/0",
    "{s}:/u:{p}@h/0",
    "u:{p}@h/0",
)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_password_is_shown(scheme: str) -> None:
    """With each sign that cuts a URL in its password, of each form of URL: shown, in the error, and in what caused it."""
    leaks = []
    for url in (form.format(s=scheme, p=password) for form in URLS for password in PASSWORDS):
        try:
            shown = open_store(url).url
        except ProcessError as error:
            cause = "" if error.__suppress_context__ else repr(error.__context__)
            shown = f"{error} {error.facts} {error.__cause__} {cause}"
        if "1QZ" in shown or "XJV" in shown:
            leaks.append((url, shown))
    assert leaks == []


def test_what_is_no_secret_is_shown() -> None:
    """User, host, database and other options stay."""
    url = "redis://ann:x@h:1/2?client_name=c&ssl_password=y"
    assert open_store(url).url == "redis://ann:***@h:1/2?client_name=c&ssl_password=***"
    url = "sentinel://:x@a:1;:y@b:2/svc"
    assert open_store(url).url == "sentinel://:***@a:1;:***@b:2/svc"
