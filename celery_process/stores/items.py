"""The third part of the store contract: the items of a run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import partial

from celery_process.protocol import exchange, page, sweep
from celery_process.protocol.model import (
    ItemClaim,
    Page,
    Swept,
)
from celery_process.protocol.reports import ItemReport, Reported
from celery_process.stores.atomic import Atomic


class Items(Atomic):
    """The life of the items of a run, from enlisting to their end."""

    def open_page(self, process: str, run: str, *, token: str, size: int, window: int, rate: float | None = None) -> Page:
        """Enlist the next names of the run, if the window has room; the names are the caller's to publish.

        Stored limits win over `window` (items in flight) and `rate` (items a second; None: no limit of the code's,
        `math.inf`: nor a stored one). Under a rate the next page is due when the time of the last one has passed, whichever
        run of the process it belonged to. Until then one caller is answered LATER, and the others WAITING; if it takes
        longer than `limits.COMEBACK`, all are answered WAITING.

        A repeat with the token of an open page returns the same page; the token of a folded page opens a new one. At the
        end of both lists, with no page open, the call closes the run. The cleanup list begins when no page of the active
        list is open (WAITING until then).
        """
        step = partial(page.open_page, token=token, size=size, window=window, rate=rate)
        return self._do("open_page", process, step, run)

    def mark_published(self, process: str, run: str, names: Collection[str]) -> None:
        """Note that messages for these items were sent."""
        self._do("mark_published", process, page.mark_published, run, names)

    def claim(
        self, process: str, run: str, names: Sequence[str], *, token: str, lease: timedelta, max_attempts: int
    ) -> tuple[ItemClaim, ...]:
        """Claim items, with one answer a name in the order of `names`; a repeat with the same token is CLAIMED again.

        An item whose name is no longer on the list it was enlisted from is REMOVED; under a pause it becomes unpublished.
        A name that has no item but a status of this run is DONE.
        """
        step = partial(exchange.claim, token=token, lease=lease, max_attempts=max_attempts)
        return self._do("claim", process, step, run, names)

    def report(self, process: str, run: str, reports: Sequence[ItemReport], *, token: str, lease: timedelta) -> Reported:
        """Write the totals of claimed items, extend their leases, and end those with an outcome.

        An item whose lease ran out, even if a sweep freed it, stays its last holder's until another caller claims it: a
        newer report of that holder claims it again, as the same attempt.

        Errors beyond the tolerance make the run ABORTING in the same transaction. A clean cleanup of a registration that
        did not change since its claim drops the item, in that transaction too. An older sequence writes nothing. Once its
        page is folded, an item that completed is no longer kept: the attempt in its status identifies its last report.
        """
        return self._do("report", process, partial(exchange.report, token=token, lease=lease), run, reports)

    def release(self, process: str, run: str, names: Sequence[str], *, token: str) -> Reported:
        """Return claimed items that were not started: they are pending and unpublished again, and use up no attempt."""
        return self._do("release", process, partial(exchange.release, token=token), run, names)

    def sweep_run(
        self,
        process: str,
        run: str,
        *,
        lease: timedelta,
        redispatch_after: timedelta,
        grace: timedelta,
        max_attempts: int,
        limit: int,
    ) -> Swept:
        """Repair an open run: expired leases, pages left open, items that were never published or never claimed.

        Items unpublished for longer than `grace` are returned to publish, at most about `limit` of them. A run without a
        claim for `redispatch_after` is stalled: all its items that `rules.published_again` names become unpublished at
        once, so that the next call returns those that this one does not, even if workers claim meanwhile.

        The repairs of items are kept with the run, in the same transaction, until `ack_repairs`, with at most
        `limits.MAX_LOST` names: beyond it an item stays claimed, under the lease that ran out, for the next call.

        A lease that ends later than `lease` from now was set by a clock that was ahead: it is cut to that, so that its
        holder has the time to renew it.
        """
        step = partial(
            sweep.sweep_run,
            lease=lease,
            redispatch_after=redispatch_after,
            grace=grace,
            max_attempts=max_attempts,
            limit=limit,
        )
        return self._do("sweep_run", process, step, run)
