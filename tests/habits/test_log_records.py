"""All modules of the library log in one way: a logger of `logger_of`, and fields of `log_fields`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import celery_process

PACKAGE = Path(celery_process.__file__).parent
MODULES = {str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
OWN_LOGGERS = {"text/logs.py", "testing/simulation/__init__.py"}
"""Who calls `logging.getLogger`: the helper, and the simulation, which silences the whole library."""


def returns_fields(tree: ast.Module) -> set[str]:
    """Return the names of what returns `LogFields`: the helper, and a module's own functions that say so."""
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.returns is not None)
    return {"log_fields"} | {node.name for node in functions if ast.unparse(node.returns) == "LogFields"}


def names_of_fields(tree: ast.Module, calls: set[str]) -> set[str]:
    """Return the names that a module gives to fields: variables of such calls, and parameters that say so."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.annotation is not None and ast.unparse(node.annotation) == "LogFields":
            found.add(node.arg)
        if isinstance(node, ast.Assign):
            for target in node.targets:
                pairs = (
                    zip(target.elts, node.value.elts, strict=True)
                    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                    else [(target, node.value)]
                )
                found |= {name.id for name, value in pairs if isinstance(name, ast.Name) and is_call(value, calls)}
    return found


def is_call(node: ast.expr, names: set[str]) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in names


def other_ways(module: str, source: str) -> Iterator[str]:
    """Yield the lines of a module that log in another way."""
    tree = ast.parse(source)
    calls = returns_fields(tree)
    names = names_of_fields(tree, calls)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        owner, _, method = ast.unparse(node.func).rpartition(".")
        if owner == "logging" and (method in LEVELS or (method == "getLogger" and module not in OWN_LOGGERS)):
            yield f"{module}:{node.lineno}: {owner}.{method}"
        if (method in LEVELS and owner.endswith(("logger", "log"))) or method == "log_failure":
            extra = next((keyword.value for keyword in node.keywords if keyword.arg == "extra"), None)
            known = extra is not None and (is_call(extra, calls) or (isinstance(extra, ast.Name) and extra.id in names))
            if not known:
                yield f"{module}:{node.lineno}: {ast.unparse(node.func)} without fields of log_fields"


def test_no_module_logs_in_another_way() -> None:
    """Every call of a logger passes the four fields, and nobody makes a logger of their own."""
    assert [line for module, source in MODULES.items() for line in other_ways(module, source)] == []


@pytest.mark.parametrize(
    "line",
    [
        "logger.info('a')",
        "logger.warning('a', extra={'action': 'a'})",
        "log_failure(logger, 'a', error=OSError(), extra={})",
        "extra = {'action': 'a'}\nlogger.info('a', extra=extra)",
        "import logging\nlogging.warning('a')",
        "import logging\nlogging.getLogger('celery_process.a').info('a', extra=log_fields('a'))",
    ],
)
def test_another_way_is_found(line: str) -> None:
    """A record without the fields, or of a logger of its own, is found."""
    assert list(other_ways("any.py", line))
    assert not list(other_ways("any.py", "logger.info('a', extra=log_fields('a'))"))
