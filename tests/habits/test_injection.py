"""What somebody else wrote is data: never a part of a statement or a script, and never the name of what is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import celery_process
from celery_process.stores.redis import scripts

PACKAGE = Path(celery_process.__file__).parent
SOURCES = {str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
OF_SQL = {"text", "exec_driver_sql", "literal_column", "DDL", "RunSQL", "raw", "execute", "executemany", "prefix_with"}
"""Functions whose first argument may be a statement as text."""
OF_LUA = {"eval", "evalsha", "eval_ro", "fcall", "register_script", "script_load", "function_load"}
"""Methods of a Redis client that take a script."""
IMPORTS = {"import_module", "__import__", "symbol_by_name", "instantiate", "loads_pickle", "eval", "exec", "locate"}
OWN_IMPORTS = {
    "beat/sync.py": "an adapter for the class of a scheduler, from a table of the library",
    "beat/entry.py": "a class of the library's own, by which beat unpickles its file",
    "contrib/flower/hook.py": "Flower's modules, by constant names",
    "shared.py": "the module of a shared process, by which it pickles itself",
}
"""Modules that import by a name, and where the name is from."""


def is_put_together(node: ast.expr) -> bool:
    """Whether an expression makes a text of parts, as far as it can be seen where it is passed."""
    parts = isinstance(node, ast.JoinedStr) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod))
    formatted = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("format", "join")
    return parts or formatted


def assigned(tree: ast.Module) -> set[str]:
    """Return the names of variables that hold texts that were put together."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.JoinedStr):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield (node.func.id if isinstance(node.func, ast.Name) else node.func.attr), node


def statements_of_parts(module: str, source: str) -> Iterator[str]:
    """Yield the calls that are passed a statement made of parts."""
    tree = ast.parse(source)
    made = assigned(tree)
    for name, call in calls(tree):
        first = call.args[0] if name in OF_SQL and call.args else None
        if first is not None and (is_put_together(first) or (isinstance(first, ast.Name) and first.id in made)):
            yield f"{module}:{call.lineno}: {ast.unparse(call)[:80]}"


def scripts_of_parts(module: str, source: str) -> Iterator[str]:
    """Yield the calls that send Redis a script other than one of the files, by the one function that does."""
    for name, call in calls(ast.parse(source)):
        if name in OF_LUA and isinstance(call.func, ast.Attribute):
            yield f"{module}:{call.lineno}: {name}"
        evaluates = name == "execute_command" and ast.unparse(call.args[0]) in ("'EVAL'", "'EVALSHA'")
        if evaluates and ast.unparse(call.args[1]) not in ("self._text(sent).text", "self._text(sent).sha"):
            yield f"{module}:{call.lineno}: {ast.unparse(call)[:80]}"


def test_no_statement_is_put_together() -> None:
    """Values are bound parameters; names of tables are SQLAlchemy's to quote."""
    sql = {
        module: source for module, source in SOURCES.items() if module.startswith(("stores/sql", "contrib/django", "beat"))
    }
    assert len(sql) > 30
    assert [line for module, source in sql.items() for line in statements_of_parts(module, source)] == []


@pytest.mark.parametrize(
    "line",
    [
        "conn.execute(sa.text(f'SELECT {a}'))",
        "text('SELECT ' + a)",
        "text('SELECT %s' % a)",
        "text('SELECT {}'.format(a))",
        "conn.exec_driver_sql(''.join(parts))",
        "a = f'SELECT {b}'\nsa.text(a)",
        "sa.DDL(f'DROP {a}')",
    ],
)
def test_a_statement_of_parts_is_found(line: str) -> None:
    """In each way that a text is made of parts."""
    assert list(statements_of_parts("any.py", line))
    assert not list(statements_of_parts("any.py", "conn.execute(sa.text('SELECT :a'), {'a': a})"))


def test_scripts_are_constant() -> None:
    """Redis is sent the texts of the files alone; what changes from call to call is a key or an argument."""
    assert [line for module, source in SOURCES.items() for line in scripts_of_parts(module, source)] == []
    assert list(scripts_of_parts("any.py", "client.eval(f'return {a}', 0)"))
    assert list(scripts_of_parts("any.py", "client.execute_command('EVAL', text + name, 0)"))
    files = sorted((PACKAGE / "stores" / "redis" / "lua").glob("*.lua"))
    sent = [path.stem for path in files if path.read_text(encoding="utf-8").startswith("#!lua")]
    assert sent
    before = {name: scripts.script(name).flagged.text for name in sent}
    scripts.script.cache_clear()
    assert {name: scripts.script(name).flagged.text for name in sent} == before
    assert [name for name, text in before.items() if "loadstring" in text or "dofile" in text] == []


def test_nothing_is_imported_by_a_name_that_somebody_sent() -> None:
    """Each module that imports by a name is known, with where it has the name from; nothing is unpickled or evaluated."""
    found = {module for module, source in SOURCES.items() for name, _ in calls(ast.parse(source)) if name in IMPORTS}
    assert found <= set(OWN_IMPORTS)
    assert not [module for module, source in SOURCES.items() if "import pickle" in source or "import marshal" in source]
    assert not found & {"tasks/factory.py", "tasks/registry.py", "engine/runner.py", "jsontext.py"}
