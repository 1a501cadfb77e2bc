"""What is a secret, how it is hidden, and how an edit of what was shown keeps it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from celery_process.exceptions import InvalidValue
from celery_process.text.masking import MASK, is_secret, masked, masked_text, unmasked

SETTINGS = {"key_ttl": 60, "apikey": "x", "list": [{"db_password": "y"}], "refresh_token": None, "token_ttl": 5}
SECRET_NAMES = (
    "password passwd pwd dbPassword DB-PASSWORD dbpassword apiKey api-key api_key APIKey X-Api-Key clientSecret sessionid dsn "
    "SENTRY_DSN sas sig signature X-Amz-Signature X-Amz-Credential account_key AccountKey SharedAccessKey oauth2 bearer "
    "auth authorization ssl_key_password cookie passwords sentinel_password private_key aws_secret_access_key credentials"
)
OTHER_NAMES = (
    "author authority key_ttl keys_per_account tokenizer secretary partition_key primary_key cache_key bypass compass "
    "passenger passive ssl_keyfile keyboard signal sashimi significant cookies_eaten_by_tom_is_one"
)
TEXTS = {
    "redis://:S3CRET@h/0": "redis://********@h/0",
    "lost redis://u:a/S3CRET@h:1/0, again": "lost redis://********@h:1/0, again",
    "redis://u:S3@CRET@h": "redis://********@h",
    "https://S3CRET@github.com/x": "https://********@github.com/x",
    "x?next=https://u:S3CRET@h/y and mail me@x.org": "x?next=https://********@h/y and mail me@x.org",
    "postgresql://h/db?passwd=S3CRET&sslmode=on": "postgresql://h/db?passwd=********&sslmode=on",
    "host=x password='S3 CRET' dbname=y": "host=x password='********' dbname=y",
    "{'password': 'S3 CRET', 'x': 1}": "{'password': '********', 'x': 1}",
    '{"apiKey": "S3CRET"}': '{"apiKey": "********"}',
    "Authorization: Bearer S3CRET.x-y": "Authorization: ********",
    "sent Bearer S3CRET.x to h": "sent Bearer ******** to h",
    "got Basic UzM6Q1JFVA== from h": "got Basic ******** from h",
    "https://a.blob/x?sv=2020&sig=S3CRET%2F&se=1": "https://a.blob/x?sv=2020&sig=********&se=1",
    "AccountName=n;AccountKey=S3CRET==;EndpointSuffix=x": "AccountName=n;AccountKey=********;EndpointSuffix=x",
    "-----BEGIN RSA PRIVATE KEY----- S3CRET": "********",
    "a -----BEGIN PRIVATE KEY-----\nS3CRET\n-----END PRIVATE KEY----- b": "a ******** b",
    "ghp_S3CRETS3CRETS3CRET": "********",
    "key eyJhbGciOiJI.eyJzS3CRET.S3CRET": "key ********",
}
PROSE = (
    "AuthError: bad things",
    "TokenExpired: at noon",
    "KeyError: 'token'",
    "Basic authentication failed",
    "access denied (using password: YES)",
    "https://example.com/a?page=2#top",
    "amqp://u:**@h//",
    "token_count=3 at 12:30",
)


def test_names_of_secrets() -> None:
    """By whole words, in snake_case, camelCase and with hyphens: an author is no secret."""
    assert [name for name in SECRET_NAMES.split() if not is_secret(name)] == []
    assert [name for name in OTHER_NAMES.split() if is_secret(name)] == ["cookies_eaten_by_tom_is_one"]


@pytest.mark.parametrize(("text", "shown"), TEXTS.items())
def test_secrets_in_texts(text: str, shown: str) -> None:
    """Hidden wherever they stand; the rest stays; what was masked is masked as it is."""
    assert masked_text(text) == shown
    assert masked_text(shown) == shown


@pytest.mark.parametrize("text", PROSE)
def test_texts_without_secrets_stay(text: str) -> None:
    """A sentence about a password is not one."""
    assert masked_text(text) == text


def test_secrets_are_hidden_at_any_depth() -> None:
    """By the name of the setting, and in texts; an empty one and a number of seconds hide nothing."""
    assert masked(SETTINGS) == {**SETTINGS, "apikey": MASK, "list": [{"db_password": MASK}]}
    assert masked({"urls": ["redis://:x@h"], "auth": {"a": 1}, "pwd": 7}) == {
        "urls": [f"redis://{MASK}@h"],
        "auth": MASK,
        "pwd": MASK,
    }


@pytest.mark.parametrize(
    "piece",
    ["a://", "a://b:@", "a://b/", "a=", "a:", "Basic ", "eyJaaaaaaaa.", "-----BEGIN PRIVATE KEY-----", '"', "Cookie ", ":"],
)
def test_masking_takes_time_linear_in_the_text(piece: str) -> None:
    """A text that repeats what a pattern begins with costs four times as much where it is four times as long, or little."""

    def cost(size: int) -> float:
        text = (piece * size)[:size] + "@"
        began = time.process_time()
        masked_text(text)
        return time.process_time() - began

    small = min(cost(16_000) for _ in range(3))
    assert cost(64_000) < 12 * small + 0.1


def test_what_stays_masked_stays_as_it_was() -> None:
    """An edit of what was shown masked keeps the secrets, at any depth, and changes what was changed."""
    shown = {**masked(SETTINGS), "key_ttl": 5}
    assert unmasked(shown, SETTINGS, argument="settings") == {**SETTINGS, "key_ttl": 5}


HOSTS = [{"host": "a", "password": "1"}, {"host": "b", "password": "2"}, {"host": "b", "password": "3"}, "redis://:4@c"]
A, B, _, C = masked(HOSTS)


@pytest.mark.parametrize(
    ("edited", "kept"),
    [
        ([B, B, C, A], [1, 2, 3, 0]),
        ([A], [0]),
        ([C, "new", A], [3, None, 0]),
        ([{"host": "z", "password": "new"}, A], [None, 0]),
    ],
)
def test_an_element_of_a_list_keeps_its_own_secret(edited: list[Any], kept: list[int | None]) -> None:
    """Wherever it was moved to; several that look alike keep their order."""
    whole = [one if place is None else HOSTS[place] for one, place in zip(edited, kept, strict=True)]
    assert unmasked({"hosts": edited}, {"hosts": HOSTS}, argument="settings") == {"hosts": whole}


@pytest.mark.parametrize(
    "edited",
    [
        {"new_token": MASK},
        {"list": [{}, {"db_password": MASK, "host": "z"}]},
        {"list": [{"db_password": MASK}, {"db_password": MASK}], "hosts": [B]},
        {"hosts": [{"host": "z", "password": MASK}]},
        {"hosts": [B]},
        {"hosts": [{**A, "port": 1}]},
        {"hosts": [f"redis://{MASK}@other"]},
        {"hosts": {"0": A}},
        {"key_ttl": [MASK]},
        {"key_ttl": f"x {MASK}"},
    ],
)
def test_a_mask_that_stands_for_nothing_or_for_another_s_secret_is_refused(edited: dict[str, object]) -> None:
    """Where nothing was hidden, and in an element of a list of which another part was changed."""
    with pytest.raises(InvalidValue, match="stands for a stored value") as refused:
        unmasked(edited, {**SETTINGS, "hosts": HOSTS}, argument="settings")
    assert refused.value.argument == "settings"
