"""The conformance suite: what every store of `celery_process` does, as tests. See `celery_process.testing` for its use."""

from __future__ import annotations

from celery_process.testing.conformance.aborting import TestAborting
from celery_process.testing.conformance.claims import TestItemClaims
from celery_process.testing.conformance.cleanup import TestCleanup
from celery_process.testing.conformance.clocks import TestClock, ahead
from celery_process.testing.conformance.definitions import TestJoining, TestOverrides, TestRegistering, TestUnregistering
from celery_process.testing.conformance.deployments import TestDeployment
from celery_process.testing.conformance.epochs import TestEpochs
from celery_process.testing.conformance.fixtures import clock, drive, process
from celery_process.testing.conformance.folds import TestFolds
from celery_process.testing.conformance.history import TestHistory
from celery_process.testing.conformance.late import TestLate
from celery_process.testing.conformance.ledger import TestLedger
from celery_process.testing.conformance.limits import TestLimits, TestRate
from celery_process.testing.conformance.merging import TestMerging
from celery_process.testing.conformance.names import TestNames, TestTexts
from celery_process.testing.conformance.neighbours import TestNeighbours
from celery_process.testing.conformance.notices import TestNotices
from celery_process.testing.conformance.pages import TestPages, TestPublishing
from celery_process.testing.conformance.purges import TestPurge
from celery_process.testing.conformance.reads import TestLastStatus, TestReads, TestUpkeep
from celery_process.testing.conformance.redrives import TestRedrive
from celery_process.testing.conformance.release import TestRelease
from celery_process.testing.conformance.repairs import TestRepairs
from celery_process.testing.conformance.reports import TestOutcomes, TestReports
from celery_process.testing.conformance.republishing import TestRepublishing
from celery_process.testing.conformance.restores import TestRestore
from celery_process.testing.conformance.runs import TestClaimingRuns, TestClosing, TestGenerations
from celery_process.testing.conformance.sizes import TestSizes
from celery_process.testing.conformance.stops import TestPausing, TestStopping
from celery_process.testing.conformance.sweeps import TestBeginningSweeps, TestSweep, TestTurns
from celery_process.testing.conformance.tolerance import TestTolerance
from celery_process.testing.conformance.walk import TestWalk

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
