"""Where schedules of acts are played."""

from __future__ import annotations

import os
from collections import Counter

from celery_process.stores.base import Store
from celery_process.testing import MovableClock

from .baton import Baton, Played, schedules
from .scenes import ACTS, Scene

DEEPLY = os.environ.get("CP_T3_DEEP") == "1"
SHARE = 3


class Stage:
    """Plays schedules of acts, each in a scene of its own, and checks the scene after each."""

    def __init__(self, store: Store, clock: MovableClock, baton: Baton, tally: Counter[str]) -> None:
        self._store, self._clock, self._baton, self._tally = store, clock, baton, tally

    def play(self, *acts: str, at_end: bool, preemptions: int, page: int = 2) -> None:
        """Play the schedules of the acts with at most so many preemptions: all of them `DEEPLY`, else one in `SHARE`."""
        scene: Scene

        def once(choices: tuple[int, ...]) -> Played:
            nonlocal scene
            scene = Scene(self._store, self._clock, at_end, page)
            return self._baton.play([lambda act=act: ACTS[act](scene) for act in acts], choices)

        for played in schedules(once, preemptions=preemptions, share=1 if DEEPLY else SHARE):
            self._tally.update(schedules=1, waited=played.waited, statements=len(played.decisions))
            try:
                scene.check()
            except AssertionError as error:
                error.add_note(f"{acts}, in the order {[decision.chosen for decision in played.decisions]}")
                raise
