"""Names, params, stats and texts of all kinds come back as they went in."""

from __future__ import annotations

import pytest

from celery_process.checks import MAX_ERROR, MAX_NAME, check_work_name
from celery_process.jsontext import MAX_PARAMS, encode
from celery_process.protocol.model import ErrorEntry
from celery_process.protocol.reports import Totals
from celery_process.protocol.states import ClaimAnswer, WorkList, WorkState
from celery_process.protocol.stats import MAX_STATS

from .driver import LEASE, Driver, Held, new_id

NAMES = [
    "a",
    " ",
    "a b",
    "😀",
    "👩‍👩‍👧‍👦",
    "שלום",
    "\u202eabc",
    "e\u0301",
    "\u00e9",
    "ß",
    "İ",
    "it's",
    '"quoted"',
    "`tick`",
    "100%",
    "%s%(x)s%%",
    "_",
    "a_b%",
    "\\",
    "\\n\\0\\x00",
    "{}",
    "}{",
    "a:b",
    "*",
    "[a-z]",
    "$1",
    "?",
    ":name",
    "--",
    "'; DROP TABLE cp_work; --",
    "a' OR '1'='1",
    "null",
    "0",
    "-1",
    "__proto__",
    "../../etc/passwd",
    "\ufeff",
    "\uffff",
    "\U0010ffff",
    "x" * MAX_NAME,
    "😀" * MAX_NAME,
]
TWINS = ["a", "A", "a ", " a", "\u00e9", "e\u0301", "ss", "ß", "i", "I", "ı", "İ", "K", "\u212a", "Ａ", "a\u200b", "01", "1"]
PARAMS = [
    {},
    {"a": [], "b": {}},
    {"a": None, "b": True, "c": False},
    {"a": 2**53 + 1, "b": -(2**63), "c": 2**70},
    {"a": 0.1, "b": -0.0, "c": 1e300, "d": 5e-324},
    {"": "", " ": " ", "😀": "👩‍👩‍👧‍👦", "\u0000": "\u0000\u0001\x7f"},
    {"lone": "\ud800", "rtl": "\u202eabc"},
    {"sql": "'; DROP TABLE cp_work; --", "percent": "%s %(x)s", "brace": "{x}", "colon": ":x"},
    {"deep": [[[[{"a": [{"b": []}]}]]]]},
    {"__proto__": {"constructor": 1}},
]


class TestNames:
    """Any checked name, through a whole run."""

    @pytest.mark.parametrize("name", NAMES, ids=ascii)
    def test_whole_run(self, drive: Driver, name: str) -> None:
        """A name goes through its run and its reads as it is."""
        check_work_name(name)
        drive.register(name)
        run = drive.start()
        assert drive.page(run).names == (name,)
        drive.store.mark_published(drive.process, run, [name])
        held = drive.take(run, name)
        assert held.finish(errors=1).items[0].name == name
        drive.page(run)
        work = drive.work(name)
        assert (work.name, work.status.state) == (name, WorkState.COMPLETED)
        assert [error.work for error in drive.status(run).errors] == [name]

    @pytest.mark.parametrize("name", NAMES, ids=ascii)
    def test_cleanup(self, drive: Driver, name: str) -> None:
        """A name is unregistered, cleaned, dropped and registered again as it is."""
        drive.run_through(cleanup=(name,))
        (work,) = drive.store.works(drive.process, on=WorkList.DROPPED, after="", limit=9)
        assert work.name == name
        assert drive.register(name) == (name,)

    def test_twins(self, drive: Driver) -> None:
        """Names that look or sort alike are different names: nothing is folded, trimmed or normalised."""
        for index, name in enumerate(TWINS):
            assert drive.register(name, params=f'{{"x":{index}}}') == (name,)
        assert [drive.work(name).params["x"] for name in TWINS] == list(range(len(TWINS)))
        run = drive.start()
        assert drive.page(run).names == tuple(sorted(TWINS))
        claims = drive.claim(run, *TWINS)
        assert [(claim.name, claim.answer) for claim in claims] == [(name, ClaimAnswer.CLAIMED) for name in TWINS]

    def test_order(self, drive: Driver) -> None:
        """Names are in the order of their code points, in lists and on pages, beyond the first plane too."""
        names = sorted({*NAMES, *TWINS, "\ue000", "\uffee", "\U00010000", "Z", "z", "_", "-", "é"})
        drive.register(*reversed(names))
        listed, after = [], ""
        while page := drive.store.works(drive.process, on=WorkList.ACTIVE, after=after, limit=5):
            listed += [work.name for work in page]
            after = page[-1].name
        assert listed == names
        run = drive.start()
        enlisted: list[str] = []
        while taken := drive.page(run, size=3).names:
            enlisted += taken
        assert enlisted == names


class TestTexts:
    """Params, settings, stats, errors and notes."""

    @pytest.mark.parametrize("params", PARAMS, ids=ascii)
    def test_params(self, drive: Driver, params: dict[str, object]) -> None:
        """Params come back as they were encoded, and as the dict that they were."""
        text = encode(params)
        drive.register("a", params=text)
        assert drive.work("a").params == params
        assert drive.take(drive.begin(), "a").claim.params == text

    @pytest.mark.parametrize("params", PARAMS, ids=ascii)
    def test_settings(self, drive: Driver, params: dict[str, object]) -> None:
        """Settings come back as they were encoded."""
        text = encode(params, argument="settings")
        drive.store.update_settings(drive.process, settings=text, schedule=text, by="ann")
        stored = drive.store.overrides(drive.process)
        assert (stored.settings, stored.schedule) == (text, text)

    def test_largest_params(self, drive: Driver) -> None:
        """Params of 64 KiB are kept whole (I13)."""
        text = encode({"x": "y" * (MAX_PARAMS - 8)})
        assert len(text) == MAX_PARAMS
        drive.register("a", params=text)
        drive.store.update_settings(drive.process, settings=text, schedule=None)
        claim = drive.take(drive.begin(), "a").claim
        assert (claim.params, claim.settings) == (text, text)

    def report(self, held: Held, totals: Totals) -> None:
        """Report totals as they are, as the end of the item."""
        report = held.next(WorkState.COMPLETED)
        held.drive.store.report(
            held.drive.process,
            held.run,
            [type(report)("a", 1, totals, report.params_version, report.settings_version, WorkState.COMPLETED)],
            token=held.token,
            lease=LEASE,
        )

    @pytest.mark.parametrize("name", [name[:100] for name in NAMES if name.isprintable()], ids=ascii)
    def test_stat_names(self, drive: Driver, name: str) -> None:
        """A stat may have any printable name, in the item, the run and the aggregate."""
        run = drive.begin("a")
        self.report(drive.take(run, "a"), Totals(stats={name: 3}, run_stats={name: 4}))
        drive.page(run)
        assert drive.work("a").status.stats == {name: 3}
        for stats in (drive.status(run).stats, drive.store.process(drive.process).aggregate_stats):
            assert (stats["work." + name], stats[name]) == (3, 4)

    def test_most_stats(self, drive: Driver) -> None:
        """A hundred stats of long names are kept (I13)."""
        stats = {f"{number:03}" + "é" * 97: number for number in range(MAX_STATS)}
        run = drive.begin("a")
        self.report(drive.take(run, "a"), Totals(stats=stats))
        assert drive.work("a").status.stats == stats

    @pytest.mark.parametrize("text", ["😀" * MAX_ERROR, 'it\'s 100% "broken" \\ {x} :y %s', "שלום", "x"], ids=range(4))
    def test_error_texts(self, drive: Driver, text: str) -> None:
        """An error's text comes back as it went in, up to its 1,024 characters."""
        run = drive.begin("a")
        error = ErrorEntry(text, drive.clock(), "a")
        self.report(drive.take(run, "a"), Totals(errors=(error,) * 10, error_count=10))
        assert drive.work("a").status.errors == (error,) * 10
        assert drive.status(run).errors == (error,) * 10

    @pytest.mark.parametrize("text", ["", "😀 it's 100% %s \\ :x", "שלום\nשלום\ttab", "n" * 1_000], ids=range(4))
    def test_notes(self, drive: Driver, text: str) -> None:
        """The note of a pause comes back as it went in."""
        drive.pause(text)
        paused = drive.store.process(drive.process).paused
        assert paused is not None
        assert paused.note == text

    def test_tokens(self, drive: Driver) -> None:
        """Tokens that differ in case alone are different tokens."""
        run, token = drive.begin("a"), new_id()
        drive.take(run, "a", token=token)
        assert drive.claim_one(run, "a", token=token.upper()).answer is ClaimAnswer.BUSY
