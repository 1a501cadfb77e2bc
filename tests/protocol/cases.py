"""The cases of the contract of operations: what every store does, as tests.

A test module in this folder runs all of them on a store:

    from .cases import *  # noqa: F403

    @pytest.fixture
    def store(clock):
        return MyStore(clock=clock)

`clock` is a `MovableClock` that the cases move by hand; nothing in them sleeps. Each uses process names of its own, so
`store` may also give stores that share one database. The races call one store from several threads at once. To leave
classes out, or to add to them, import them by name and subclass; the fixtures `clock`, `process` and `drive` come along.
"""

from __future__ import annotations

from .aborting import TestAborting
from .claims import TestItemClaims
from .cleanup import TestCleanup
from .clocks import TestClock, ahead
from .definitions import TestJoining, TestOverrides, TestRegistering, TestUnregistering
from .deployments import TestDeployment
from .epochs import TestEpochs
from .fixtures import clock, drive, process
from .folds import TestFolds
from .history import TestHistory
from .late import TestLate
from .ledger import TestLedger
from .limits import TestLimits, TestRate
from .merging import TestMerging
from .names import TestNames, TestTexts
from .neighbours import TestNeighbours
from .notices import TestNotices
from .pages import TestPages, TestPublishing
from .purges import TestPurge
from .reads import TestLastStatus, TestReads, TestUpkeep
from .redrives import TestRedrive
from .release import TestRelease
from .repairs import TestRepairs
from .reports import TestOutcomes, TestReports
from .republishing import TestRepublishing
from .restores import TestRestore
from .runs import TestClaimingRuns, TestClosing, TestGenerations
from .sizes import TestSizes
from .stops import TestPausing, TestStopping
from .sweeps import TestBeginningSweeps, TestSweep, TestTurns
from .tolerance import TestTolerance
from .walk import TestWalk

__all__ = [
    "TestAborting",
    "TestBeginningSweeps",
    "TestClaimingRuns",
    "TestCleanup",
    "TestClock",
    "TestClosing",
    "TestDeployment",
    "TestEpochs",
    "TestFolds",
    "TestGenerations",
    "TestHistory",
    "TestItemClaims",
    "TestJoining",
    "TestLastStatus",
    "TestLate",
    "TestLedger",
    "TestLimits",
    "TestMerging",
    "TestNames",
    "TestNeighbours",
    "TestNotices",
    "TestOutcomes",
    "TestOverrides",
    "TestPages",
    "TestPausing",
    "TestPublishing",
    "TestPurge",
    "TestRate",
    "TestReads",
    "TestRedrive",
    "TestRegistering",
    "TestRelease",
    "TestRepairs",
    "TestReports",
    "TestRepublishing",
    "TestRestore",
    "TestSizes",
    "TestStopping",
    "TestSweep",
    "TestTexts",
    "TestTolerance",
    "TestTurns",
    "TestUnregistering",
    "TestUpkeep",
    "TestWalk",
    "ahead",
    "clock",
    "drive",
    "process",
]
