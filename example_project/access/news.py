"""What happened since one looked last: runs that ended, and operations that went on, each as a line of text."""

from __future__ import annotations

from collections.abc import Iterator

from celery_process import Process, RunState
from celery_process.protocol.model import RunStatus
from example_project.access.celery import processes
from example_project.realms.models import OPEN, Operation


class News:
    """Follows the processes of the project from now on."""

    def __init__(self) -> None:
        self.ended: dict[str, RunStatus] = {}
        """The last run that ended since then, by process."""
        self._seen = {process.name: process.state().run for process in processes}
        self._told: dict[str, str] = {}

    def lines(self) -> Iterator[str]:
        """Give a line for each thing that is new."""
        for process in processes:
            for run in self._closed(process):
                self.ended[process.name] = run
                yield told(process, run)
        for operation in Operation.objects.filter(state__in=OPEN) | Operation.objects.filter(name__in=self._told):
            text = f"{operation.label}: {operation.state}, {operation.items_removed:,} removed"
            if self._told.get(operation.name) != text:
                self._told[operation.name] = text
                yield text

    def _closed(self, process: Process) -> list[RunStatus]:
        seen, newer = self._seen[process.name], []
        for run in process.runs():
            if seen is not None and run.epoch <= seen.epoch:
                break
            newer.append(run)
        closed = [run for run in reversed(newer) if not run.state.is_open]
        if closed:
            self._seen[process.name] = closed[-1]
        return closed

    def is_complete(self) -> bool:
        """Whether each process had a run that COMPLETED, and no operation is open."""
        states = [run.state for run in self.ended.values()]
        whole = len(states) == len(processes) and set(states) == {RunState.COMPLETED}
        return whole and not Operation.objects.filter(state__in=OPEN).exists()


def told(process: Process, run: RunStatus) -> str:
    """Say in a line how a run ended."""
    stats = {name.removeprefix("work."): count for name, count in run.stats.items() if name.startswith("work.")}
    counted = ", ".join(f"{name} {count:,}" for name, count in sorted(stats.items())) or "nothing to do"
    return f"{process.name} of {run.slot:%H:%M:%S}: {run.state.value}, {counted}, errors {run.total_errors}"
