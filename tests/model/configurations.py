"""What is explored: small worlds, each with another part of the protocol in motion, and a planted fault a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .bounds import Bounds, Fault

CONFIGURATIONS: Mapping[str, Bounds] = MappingProxyType(
    {
        "two items, two attempts": Bounds("AA"),
        "pages of one beside each other": Bounds("AAA", attempts=1),
        "pages of two, then the cleanup list": Bounds("AAAC", page=2, attempts=1, window=4, errors=False),
        "answers lost, leases taken over": Bounds("A", lost_answers=True, takeover=True, workers=3),
        "a batch of two, its answers lost": Bounds("AA", page=2, window=4, batch=2, attempts=1, lost_answers=True),
        "a batch of two, twice, with a cancel": Bounds("AA", page=2, window=4, batch=2, stops=1, releases=True),
        "registrations in mid-run, with ties": Bounds("AC", registrations=2, ties=True, attempts=1),
        "cancel beside registrations": Bounds("AC", registrations=1, ties=True, stops=1, attempts=1),
        "cancel and releases": Bounds("AC", stops=1, releases=True, attempts=1),
        "pause": Bounds("AC", pauses=1, stops=1, attempts=1),
        "replaced by the next run": Bounds("AC", runs=2, stops=1, replace=True, attempts=1, errors=False),
        "redriven": Bounds("AC", runs=2, stops=1, redrive=True, limit=0, attempts=1),
        "outcomes held back, answers lost": Bounds(
            "AA", page=2, window=4, batch=2, hold=True, attempts=1, lost_answers=True, stops=1
        ),
        "outcomes held back, releases": Bounds(
            "AA", page=2, window=4, batch=2, hold=True, attempts=1, stops=1, releases=True
        ),
        "redriven again, or after another run": Bounds(
            "AC", runs=3, stops=1, redrive=True, attempts=1, workers=1, errors=False
        ),
        "redriven beside registrations": Bounds(
            "AC", runs=2, stops=1, redrive=True, registrations=1, ties=True, attempts=1, workers=1, errors=False
        ),
        "redriven beside a purge": Bounds("A", runs=2, stops=1, redrive=True, purge=True, attempts=1, lost_answers=True),
        "whole: two items, answers lost, leases taken over": Bounds("AA", whole=True, lost_answers=True, takeover=True),
        "whole: a cancel, releases, registrations": Bounds(
            "AC", whole=True, stops=1, releases=True, registrations=1, ties=True, attempts=1
        ),
        "whole: replaced by the next run": Bounds("AC", whole=True, runs=2, stops=1, replace=True, attempts=1),
        "whole: outcomes held back, answers lost": Bounds(
            "AAC", whole=True, page=2, window=4, batch=2, hold=True, lost_answers=True, stops=1, attempts=1
        ),
        "whole: redriven beside a purge": Bounds("AC", whole=True, runs=2, stops=1, redrive=True, purge=True, attempts=1),
    }
)

DEEP: Mapping[str, Bounds] = MappingProxyType(
    {
        "deep: three items, two attempts": Bounds("AAA", window=3),
        "deep: three workers": Bounds("AC", workers=3, stops=1),
        "deep: batches beside each other": Bounds("AAAA", page=2, window=4, batch=2, attempts=1, stops=1),
        "deep: a batch, its answers lost, cancelled": Bounds(
            "AA", page=2, window=4, batch=2, lost_answers=True, stops=1, releases=True
        ),
        "deep: outcomes held back, two attempts": Bounds("AA", page=2, window=4, batch=2, hold=True),
        "deep: outcomes held back, answers lost, cancelled": Bounds(
            "AA", page=2, window=4, batch=2, hold=True, lost_answers=True, stops=1, releases=True
        ),
        "deep: redriven twice, or after another run": Bounds("AC", runs=3, stops=2, redrive=True, attempts=1, workers=1),
        "deep: three registrations with ties": Bounds("AC", registrations=3, ties=True, attempts=1),
        "deep: two runs, registrations": Bounds("AC", runs=2, registrations=1, ties=True, attempts=1),
        "deep: replaced, two attempts": Bounds("AC", runs=2, stops=1, replace=True),
        "deep: redriven beside registrations": Bounds(
            "AC", runs=2, stops=1, redrive=True, registrations=1, ties=True, limit=0, attempts=1, errors=False
        ),
    }
)

PLANTED: Mapping[Fault, Bounds] = MappingProxyType(
    {
        Fault.COUNTER_BARRIER: Bounds("AA", page=2, window=4, lost_answers=True, fault=Fault.COUNTER_BARRIER),
        Fault.NO_TOKEN: Bounds("AA", fault=Fault.NO_TOKEN),
        Fault.FENCE_BY_INSTANCE: Bounds("A", runs=2, stops=1, replace=True, fault=Fault.FENCE_BY_INSTANCE),
        Fault.NO_SWEEP: Bounds("AA", fault=Fault.NO_SWEEP),
        Fault.LATE_CLOSE: Bounds("AA", fault=Fault.LATE_CLOSE),
        Fault.REGISTRATIONS_IGNORED: Bounds("AC", registrations=2, attempts=1, fault=Fault.REGISTRATIONS_IGNORED),
        Fault.ALL_GO: Bounds("AA", runs=2, redrive=True, attempts=1, fault=Fault.ALL_GO),
        Fault.STATUS_IGNORED: Bounds("A", registrations=1, ties=True, attempts=1, fault=Fault.STATUS_IGNORED),
        Fault.REPEATS_REFUSED: Bounds("A", lost_answers=True, fault=Fault.REPEATS_REFUSED),
        Fault.ATTEMPT_ALONE: Bounds("A", purge=True, attempts=1, fault=Fault.ATTEMPT_ALONE),
        Fault.CURSOR_TO_END: Bounds("AA", runs=2, stops=1, redrive=True, attempts=1, fault=Fault.CURSOR_TO_END),
        Fault.ROWS_ALONE: Bounds("AA", runs=2, stops=1, redrive=True, attempts=1, fault=Fault.ROWS_ALONE),
        Fault.SWEEP_VOIDS: Bounds("A", fault=Fault.SWEEP_VOIDS),
        Fault.ANYBODY_RETURNS: Bounds("A", attempts=3, fault=Fault.ANYBODY_RETURNS),
    }
)

EXPECTED: Mapping[Fault, str] = MappingProxyType(
    {
        Fault.COUNTER_BARRIER: "I3",
        Fault.NO_TOKEN: "I6",
        Fault.FENCE_BY_INSTANCE: "I6",
        Fault.NO_SWEEP: "I14",
        Fault.LATE_CLOSE: "I15",
        Fault.REGISTRATIONS_IGNORED: "W12",
        Fault.ALL_GO: "I15",
        Fault.STATUS_IGNORED: "I15",
        Fault.REPEATS_REFUSED: "repeat",
        Fault.ATTEMPT_ALONE: "I6",
        Fault.CURSOR_TO_END: "I15",
        Fault.ROWS_ALONE: "I15",
        Fault.SWEEP_VOIDS: "late",
        Fault.ANYBODY_RETURNS: "I6",
    }
)
"""The invariant, or the behaviour, that each planted fault breaks first."""
