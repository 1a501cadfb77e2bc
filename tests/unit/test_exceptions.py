"""The error tree."""

import copy
import inspect
import pickle

import pytest

from celery_process import exceptions
from celery_process.exceptions import ProcessError

ERRORS = [error for _, error in inspect.getmembers(exceptions, inspect.isclass) if issubclass(error, ProcessError)]
BUILTINS = {
    "AccessDenied": PermissionError,
    "AlreadyUsed": RuntimeError,
    "CannotJoin": TypeError,
    "ConfigurationError": ValueError,
    "DuplicateProcess": ValueError,
    "IllegalTransition": AssertionError,
    "InvalidType": TypeError,
    "InvalidValue": ValueError,
    "MissingBackend": ValueError,
    "MissingDriver": ImportError,
    "NotFound": LookupError,
    "ProcessNotFound": LookupError,
    "ProcessPaused": RuntimeError,
    "RefusedValue": ValueError,
    "RunNotFound": LookupError,
    "RunOpen": RuntimeError,
    "RunPurged": RuntimeError,
    "ScheduleOwned": RuntimeError,
    "SchemaMismatch": ValueError,
    "TaskNameTaken": ValueError,
    "SettingsChanged": RuntimeError,
    "StoreUnavailable": ConnectionError,
    "UnknownSetting": ValueError,
    "WorkElsewhere": RuntimeError,
    "WorkFailed": RuntimeError,
    "WorkNotFound": LookupError,
    "WrongState": RuntimeError,
}


class TestTree:
    def test_drawn(self) -> None:
        """The module's docstring draws every error."""
        for error in ERRORS:
            assert error.__name__ in (exceptions.__doc__ or "")

    @pytest.mark.parametrize(("name", "builtin"), BUILTINS.items())
    def test_builtin(self, name: str, builtin: type[Exception]) -> None:
        """An error is also the builtin that fits, so that code which knows nothing of the library catches it."""
        assert issubclass(getattr(exceptions, name), builtin)

    def test_interruptions(self) -> None:
        """What stops a handler is one family."""
        family = exceptions.RunInterrupted
        assert {error for error in ERRORS if issubclass(error, family)} == {
            family,
            exceptions.RunAborted,
            exceptions.OwnershipLost,
        }

    @pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
    def test_documented(self, error: type[ProcessError]) -> None:
        """Every error says what it is for."""
        assert inspect.getdoc(error)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
class TestFacts:
    def test_attributes(self, error: type[ProcessError]) -> None:
        """Facts are attributes, and stand together."""
        raised = error("Do this.", process="p", found=3)
        assert (str(raised), raised.process, raised.found) == ("Do this.", "p", 3)
        assert raised.facts == {"process": "p", "found": 3}

    def test_unknown(self, error: type[ProcessError]) -> None:
        """A fact that it has not is an AttributeError that names those it has."""
        with pytest.raises(AttributeError, match="process"):
            error("Do this.", process="p").nothing  # noqa: B018 - the access is what raises

    @pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
    def test_pickled(self, error: type[ProcessError], again) -> None:
        """It keeps its class, its message and its facts when it is pickled or copied: Celery sends errors between processes."""
        raised = error("Do this.", process="p", found=3)
        copied = again(raised)
        assert type(copied) is error
        assert (str(copied), copied.facts, copied.found) == ("Do this.", raised.facts, 3)
