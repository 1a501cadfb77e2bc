"""The store contract, in four parts: definitions, runs, items, reads. Each method is one operation of the run protocol.

An operation is atomic (or a chain of atomic steps that another call or the sweep can take up), can be repeated after a
lost answer with the same ids and then answers the same, and reads its time from the store. All of them may raise
`StoreUnavailable`. Names come in checked (`checks`), params and settings as JSON (`jsontext`).

The body of an operation is a step of the protocol over rows (`protocol`), written once. A store implements `atomically`,
which runs a step over its rows, and the operations over many processes (or takes those of `OneByOne`). It may write an
operation that is hot in its own way, and then equals the step in the tests of the protocol. That list, with what the step
costs there instead (PostgreSQL, 5,000 items out, medians):

- `claim`, `report`, `release`, `mark_published` and the fold, on SQL and Redis: the way of every item. A claim of 100 items
  is one statement or script and takes 10 ms; by the step 130.
- `sweep_run` and `stop_run`, on SQL and Redis: the step reads every item of the window, and holds what it changes of the run
  meanwhile. A sweep that finds nothing takes 15 ms; by the step 470. A stop takes 0.6 s; by the step 20.
- `register`, `unregister`, `update_settings` on SQL: they may join a caller's transaction, which neither holds the process's
  row nor can read again what another one changed since it began.
- `register` and `unregister` on Redis: a name costs 2.5 times as much where its record is read and written by two scripts.

The invariants I1 to I16 are in docs/protocol.md.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from celery_process.stores.definitions import Definitions
from celery_process.stores.items import Items
from celery_process.stores.reads import Reads
from celery_process.stores.runs import Runs
from celery_process.stores.warning import StoreWarning

END = chr(0x10FFFF)
"""A name after all names: where to begin a walk backwards."""


class Store(Definitions, Runs, Items, Reads):
    """A place where definitions and runs live. Nothing connects before the first operation."""

    shared = True
    """Whether other operating-system processes see the same store; a worker of several needs it."""
    url = ""
    """The store's address, without its password."""
    pasted: Callable[[str], str] = str
    """Returns a text with the app's own name in its commands; set where an app opens the store."""

    @abstractmethod
    def check(self) -> tuple[StoreWarning, ...]:
        """Refuse with `SchemaMismatch` or `StoreUnavailable` a store that cannot serve; return what to warn of."""

    @abstractmethod
    def deployment(self, own: str = "", *, adopt: bool = False) -> str:
        """Return the id of the deployment that this store, under its prefix, is kept for; empty where none is noted.

        `own` is noted where there is none yet, or, with `adopt`, in place of the present one. Of several concurrent calls
        one is noted, and all return that one.
        """

    @abstractmethod
    def migrate(self) -> tuple[str, ...]:
        """Migrate the store's tables to the code's version; return one line for each step done."""

    @abstractmethod
    def close(self) -> None:
        """Release connections. The next operation opens them again."""


def operations(*parts: type) -> frozenset[str]:
    """Return the names of the operations of parts of the contract: those of all four, if none is named."""
    chosen: tuple[type, ...] = parts or (Definitions, Runs, Items, Reads)
    return frozenset(name for part in chosen for name in vars(part) if not name.startswith("_"))
