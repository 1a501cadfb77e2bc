"""The error tree. Every error of the library is a `ProcessError` and ends with what to do.

    ProcessError
    ├── ConfigurationError (ValueError)        the app's `process_*` settings do not make sense
    │   ├── UnknownSetting                     a `process_*` key that does not exist
    │   ├── MissingBackend                     no `process_backend`
    │   ├── MissingDriver (ImportError)        the store's URL needs a package that is not installed
    │   ├── SchemaMismatch (also a StoreError) the store's tables are older or newer than the code
    │   └── TaskNameTaken                      another task or beat entry of the app has a name of a process's own
    ├── InvalidValue (ValueError)              a value of the right type that cannot be used
    ├── InvalidType (TypeError)                a value of the wrong type
    ├── DuplicateProcess (ValueError)          a second process of the same name in one app
    ├── NotFound (LookupError)
    │   ├── ProcessNotFound, WorkNotFound, RunNotFound
    ├── WrongState (RuntimeError)              the call does not fit the state that the process is in
    │   ├── RunOpen, ProcessPaused, RunPurged, ScheduleOwned, AlreadyUsed, SettingsChanged
    ├── CannotJoin (TypeError)                 `using=` on a store that cannot join that transaction
    ├── StoreError                             the store did not do it, and nothing was written
    │   ├── StoreUnavailable (ConnectionError) an outage: out of reach or overloaded, after retries
    │   ├── AccessDenied (PermissionError)     the account may not
    │   ├── RefusedValue (ValueError)          the database cannot store a value
    │   ├── CorruptData                        what is stored is not what the library wrote
    │   └── IllegalTransition (AssertionError) a state was to follow another that it may not follow
    ├── WorkElsewhere (RuntimeError)           a `Work` in another operating-system process than the one that claimed it
    ├── WorkFailed (RuntimeError)              items of a Celery task did not complete: the error of the task in monitors
    └── RunInterrupted                         raised inside a handler, to stop it
        ├── RunAborted                         the run ended early: tolerance, cancelled, superseded
        └── OwnershipLost                      another worker holds this item now: write nothing more

Must not import anything of the library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def short_repr(value: object, most: int = 80) -> str:
    """Return the repr of an argument for a message: one printable line of at most `most` characters.

    A repr may raise: an int of more than 4,300 digits has none, nor has a dict that is nested a thousand levels deep.
    """
    try:
        text = repr(value)[:most]
    except Exception as broken:  # noqa: BLE001 - a user's __repr__ may raise anything
        text = f"<{type(value).__name__} whose repr raises {type(broken).__name__}>"[:most]
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)[:most]


class ProcessError(Exception):
    """Root of all errors of the library.

    `facts` are the values in the message, by name; each fact is an attribute as well.
    """

    def __init__(self, message: str, /, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts
        self.__dict__.update(facts)

    def __getattr__(self, name: str) -> Any:
        # Only here for the type checker: facts are ordinary attributes, so this is reached for unknown ones alone.
        raise AttributeError(f"{type(self).__name__} has no fact {name!r}; it has {sorted(self.__dict__)}")

    def __reduce__(self) -> tuple[Callable[..., ProcessError], tuple[Any, ...]]:
        return _rebuild, (type(self), self.args[0], self.facts)


def _rebuild(cls: type[ProcessError], message: str, facts: dict[str, Any]) -> ProcessError:
    return cls(message, **facts)


class ConfigurationError(ProcessError, ValueError):
    """The configuration cannot work. Facts: `setting`, `value` if one setting is at fault."""


class UnknownSetting(ConfigurationError):
    """A `process_*` key that does not exist. Facts: `setting`, `nearest`."""


class MissingBackend(ConfigurationError):
    """No `process_backend` is configured; it is never guessed from the broker's URL."""


class MissingDriver(ConfigurationError, ImportError):
    """The store's URL needs a package. Facts: `url` (without password), `package`, `command`."""


class StoreError(ProcessError):
    """The store did not perform an operation. Facts: `operation`."""


class StoreUnavailable(StoreError, ConnectionError):
    """The store did not answer, after retries. Facts: `operation`."""


class AccessDenied(StoreError, PermissionError):
    """The store does not know the account, or does not permit it this. Facts: `operation`."""


class RefusedValue(StoreError, ValueError):
    """The database cannot store a value. Facts: `operation`."""


class CorruptData(StoreError):
    """What is stored is not what the library wrote. Facts: `operation`."""


class IllegalTransition(StoreError, AssertionError):
    """A run or an item was to take a state that may not follow its own. Facts: `entity`, `was`, `to`."""


class SchemaMismatch(ConfigurationError, StoreError):
    """The tables do not fit the code. Facts: `operation`, `found`, `wanted` (schema versions), `command`."""


class TaskNameTaken(ConfigurationError):
    """A task or beat entry of the app's has the name of one of a process. Facts: `task`, `ours`, `theirs` (module.name)."""


class InvalidValue(ProcessError, ValueError):
    """A value of the right type that cannot be used. Facts: `argument`, `value`."""


class InvalidType(ProcessError, TypeError):
    """A value of the wrong type. Facts: `argument`, `value`."""


class DuplicateProcess(ProcessError, ValueError):
    """Two processes of one name in one app. Facts: `process`."""


class NotFound(ProcessError, LookupError):
    """A process, item or run that does not exist."""


class ProcessNotFound(NotFound):
    """No process of that name is defined in this app. Facts: `process`, `known`."""


class WorkNotFound(NotFound):
    """No work item of that name is on any list. Facts: `process`, `work`."""


class RunNotFound(NotFound):
    """No run of that id is kept. Facts: `process`, `run`."""


class WrongState(ProcessError, RuntimeError):
    """The call does not fit the present state."""


class RunOpen(WrongState):
    """A run is open. Facts: `process`, `run` (its `RunStatus`)."""


class ProcessPaused(WrongState):
    """The process is paused. Facts: `process`, `note`, `by`."""


class RunPurged(WrongState):
    """The run's items are no longer kept, so it cannot be redriven. Facts: `process`, `run`."""


class ScheduleOwned(WrongState):
    """An entry of `beat_schedule` is the schedule of this process. Facts: `process`, `entry`."""


class AlreadyUsed(WrongState):
    """Flow control was to change after the process was first used here (B3). Facts: `process`."""


class SettingsChanged(WrongState):
    """The settings are not at the expected version. Facts: `process`, `expected`, `found`."""


class CannotJoin(ProcessError, TypeError):
    """The store cannot join the transaction passed as `using=`. Facts: `using`."""


class WorkElsewhere(ProcessError, RuntimeError):
    """A `Work` was used in another operating-system process than the one that claimed it. Facts: `work`, `pid`."""


class WorkFailed(ProcessError, RuntimeError):
    """Items of a Celery task did not complete; the task is a FAILURE. Facts: `process`, `works`, `outcomes`."""


class RunInterrupted(ProcessError):
    """Raised in a handler by `work.progress()`. Facts: `progress`, the original's word."""


class RunAborted(RunInterrupted):
    """The run ends early; the handler should return. Its item becomes ABORTED."""


class OwnershipLost(RunInterrupted):
    """This attempt no longer owns the item; what it writes is refused."""
