"""Settings and schedule in the admin: checked as by `update_settings`, over the version that was seen, without secrets."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from celery_process import Processes
from celery_process.text.masking import MASK

from .desk import Site


class TestSettings:
    def store(self, boss: Site, settings: Any, *, version: int, schedule: str = "") -> Any:
        form = {"settings": settings, "schedule": schedule, "expected_version": version}
        return boss.client.post(boss.url("settings/"), form)

    def test_settings_and_schedule_are_stored_with_who_did_it(self, boss: Site) -> None:
        """The stored settings go over the code's; the log has their names, not their values."""
        assert self.store(boss, '{"key_ttl": 5, "token": "s3cret"}', version=0, schedule="1800").status_code == 302
        state = boss.process.state()
        assert dict(state.settings) == {"key_ttl": 5, "api_key": "of the code", "token": "s3cret"}
        assert boss.process.schedule_frequency.total_seconds() == 1800
        assert boss.process.dispatch.store.overrides(boss.process.name).by == f"admin:{boss.user.username}"
        shown = boss.text("settings/") + boss.text()
        assert "s3cret" not in shown
        assert "of the code" not in shown
        assert boss.log() == ["Stored settings version 1; changed: key_ttl, token; schedule 1800"]
        self.store(boss, json.dumps({"key_ttl": 7, "token": MASK}), version=1, schedule="1800")
        assert dict(boss.process.state().settings)["token"] == "s3cret"
        assert boss.log()[-1] == "Stored settings version 2; changed: key_ttl"
        self.store(boss, "", version=2, schedule="*/10 2 * * *")
        assert dict(boss.process.state().settings) == boss.process.default_settings
        assert 'value="*/10 2 * * *"' in boss.text("settings/")

    def test_what_was_stored_stays_to_be_read(self, boss: Site) -> None:
        """Each version is there with who stored it; secrets of old versions are hidden too."""
        boss.process.update_settings({"key_ttl": 1, "token": "s3cret"}, by="ann")
        boss.process.update_settings({"key_ttl": 2}, schedule=90, by="bob")
        shown = boss.text("settings/").partition("What was stored")[2]
        assert re.findall(r"<th scope=\"row\"[^>]*><bdi[^>]*>(\d+)</bdi></th>", shown) == ["2", "1"]
        assert shown.index("bob") < shown.index("every 1m 30s") < shown.index("ann") < shown.index("as in the code")
        assert MASK in shown
        assert "s3cret" not in boss.text("settings/")

    def test_what_did_not_change_is_not_stored(self, boss: Site) -> None:
        """The form as it was shown stores nothing; a schedule alone keeps the settings; true is not 1."""
        boss.process.update_settings({"key_ttl": 1}, by="ann")
        same = '{"key_ttl": 1}'
        self.store(boss, same, version=1, schedule="3600")
        assert "Nothing was changed" in boss.told()
        assert boss.process.state().settings_version == 1
        self.store(boss, same, version=1, schedule="60")
        self.store(boss, '{"key_ttl": true}', version=2, schedule="60")
        assert boss.process.state().settings["key_ttl"] is True
        assert boss.log() == ["Stored settings version 2; schedule 60", "Stored settings version 3; changed: key_ttl"]

    def test_an_edit_of_an_older_version_is_refused(self, boss: Site) -> None:
        """Who began before somebody else stored is told so, and what they wrote is still there."""
        boss.process.update_settings({"key_ttl": 1}, by="ann")
        answer = self.store(boss, '{"key_ttl": 2}', version=0)
        page = answer.content.decode()
        assert answer.status_code == 200
        assert "nothing was stored" in page
        assert "&quot;key_ttl&quot;: 2" in page
        assert dict(boss.process.state().settings)["key_ttl"] == 1
        assert boss.log() == []

    @pytest.mark.parametrize(
        ("settings", "schedule", "version", "words"),
        [
            ("[]", "", "0", "no object"),
            ("{]", "", "0", "no JSON"),
            ('{"a": Infinity}', "", "0", "finite"),
            ("{}", "often", "0", "neither seconds nor five crontab fields"),
            ("{}", "0", "0", "more than 0"),
            ("{}", "61 * * * *", "0", "no crontab"),
            ("{}", "0 0 31 2 *", "0", "day"),
            ("{}", "1e999", "0", "hundred years"),
            ("{}", "60", "", "This field is required"),
            ("{}", "60", "x", "whole number"),
            (f'{{"token": "{MASK}"}}', "", "0", "stands for a stored value"),
        ],
    )
    def test_bad_settings_are_told_of(self, boss: Site, settings: str, schedule: str, version: str, words: str) -> None:
        """The form comes back with what is wrong; nothing is stored."""
        assert words not in boss.text("settings/")
        answer = self.store(boss, settings, version=version, schedule=schedule)  # type: ignore[arg-type]
        assert answer.status_code == 200
        assert words in answer.content.decode()
        assert boss.process.state().settings_version == 0
        assert boss.log() == []

    def test_a_schedule_of_an_own_entry_is_the_entry_s(self, boss: Site, processes: Processes) -> None:
        """Where `beat_schedule` has an own entry for the process, the form names it."""
        name = f"{boss.process.name}.schedule"
        processes.app.conf.beat_schedule = {"mine": {"task": name, "schedule": 90.0}}
        answer = self.store(boss, "{}", version=0, schedule="60")
        assert "mine" in answer.content.decode()
