"""How long the server lets the store's own connections wait, idle in a transaction, and be at a statement.

The server enforces these bounds, since a frozen client cannot: it releases that client's locks, so that no other
transaction waits for them for longer. A caller's own connection is not changed.
"""

from __future__ import annotations

from dataclasses import dataclass

from celery_process.stores.retry import ANSWER_TIMEOUT


@dataclass(frozen=True)
class Bounds:
    """Seconds. `lock`: of a wait for one lock. `idle`: in a transaction between two statements. `statement`: of one.

    `answer` is the client's own, for a path on which packets vanish; it is above `statement`, so that the server is
    heard where it lives.
    """

    lock: int
    idle: int
    statement: int
    answer: float

    @property
    def postgresql(self) -> str:
        """The statements after the BEGIN of each transaction: a pooler may lend the next one another session."""
        milliseconds = {
            "lock_timeout": self.lock,
            "idle_in_transaction_session_timeout": self.idle,
            "statement_timeout": self.statement,
        }
        return "".join(f"; SET LOCAL {name} = {1000 * seconds}" for name, seconds in milliseconds.items())

    def mysql(self, *, mariadb: bool) -> str:
        """Return what is sent once in each session."""
        if mariadb:
            more = f"max_statement_time = {self.statement}, idle_transaction_timeout = {self.idle}"
        else:
            # MySQL has no bound for a transaction that idles but the one for any connection that does.
            more = f"max_execution_time = {1000 * self.statement}, wait_timeout = {IDLE_SESSION}"
        return f"SET SESSION innodb_lock_wait_timeout = {self.lock}, {more}"


USUAL = Bounds(lock=3, idle=5, statement=ANSWER_TIMEOUT - 1, answer=ANSWER_TIMEOUT)
MIGRATING = Bounds(lock=60, idle=60, statement=3600, answer=3660)
"""An index over millions of rows takes minutes."""
IDLE_SESSION = 60
"""Seconds after which MySQL ends a session that idles."""
RECYCLED = 45
"""Seconds after which a connection to MySQL is made anew before it is used."""
KEEPALIVES = {"keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 2}
"""What has the system find a peer that is gone, on a connection that idles."""
