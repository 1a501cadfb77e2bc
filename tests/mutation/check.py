"""The mutation check: each condition of a write is removed in turn, and the tests have to notice.

    python tests/mutation/check.py --list                     what would be removed
    python tests/mutation/check.py --jobs 2 --log mutants.log   every mutant, two at a time; hours

A mutant is a copy of the package in which one argument of a `where(…)`, one element of a tuple of conditions that such a
call is given, one branch of a shared rule, or one guard of a Lua script, whole or a part of it, is gone. The suites run on
the copy until the first failure; a mutant that passes all of them has survived. What the log says was caught is not tried
again, so that a check that was stopped goes on, and one whose tests grew looks at the survivors. Exit status 1 if fewer
than 95 % are caught.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "celery_process"
SQL = PACKAGE / "stores" / "sql"
WRITES = [
    SQL / f"{noun}.py"
    for noun in ("items", "reporting", "pages", "rows", "writes", "stopping", "errors", "sweeps", "definitions")
]
STEPS = (
    "begin",
    "exchange",
    "flow",
    "fold",
    "page",
    "purge",
    "read",
    "register",
    "restore",
    "settings",
    "stop",
    "sweep",
    "tally",
)
RULES: dict[Path, tuple[str, ...]] = {
    PACKAGE / "protocol" / "rules.py": ("claim_answer", "is_clean", "closing"),
    **dict.fromkeys((PACKAGE / "protocol" / f"{step}.py" for step in STEPS), ()),
}
"""The functions of a module whose branches are removed; of an empty tuple, those of all."""
LUA = PACKAGE / "stores" / "redis" / "lua"
GUARD = re.compile(r"\bif (.+?) then return\b")
HELPERS = ("basics.lua", "items.lua")
"""Scripts that others include; their guards decide about texts, not about writes."""
SQL_SUITES = (
    ["tests/protocol/test_sqlite.py::TestNeighbours"],
    ["tests/protocol/test_sqlite.py"],
    ["tests/integration/test_sql_statements.py"],
    ["tests/integration/test_sql_races.py"],
    ["tests/interleavings/test_postgresql.py"],
    ["tests/integration/test_sql_joining.py"],
    ["tests/protocol/test_machine.py::test_sqlite"],
    ["tests/protocol/test_postgresql.py"],
)
RULE_SUITES = (["tests/protocol/test_memory.py"], ["tests/protocol/test_machine.py::test_memory"], *SQL_SUITES)
LUA_SUITES = (
    ["tests/protocol/test_redis.py"],
    ["tests/integration/test_redis_store.py", "tests/integration/test_redis_atomicity.py"],
    ["tests/interleavings/test_redis.py"],
    ["tests/protocol/test_machine.py::test_redis"],
    ["tests/integration/test_redis_trial.py"],
)
"""Run in this order: first what is quick or catches most."""
PYTEST = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "pytest_timeout", "--timeout=900"]
"""With the one plugin that the suites need, since to load the others takes longer than most mutants live."""
GOAL = 0.95


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: the text from `start` to `end` of a file becomes `new`."""

    path: Path
    start: int
    end: int
    new: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} without {self.what}"


class Conditions(ast.NodeVisitor):
    """Finds the conditions of one module, each with what it is replaced by."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text = path, text
        lines = text.splitlines(keepends=True)
        self._offsets = [0]
        for line in lines:
            self._offsets.append(self._offsets[-1] + len(line.encode()))
        self.found: list[Mutant] = []

    def add(self, node: ast.expr, new: str) -> None:
        start = self._offsets[node.lineno - 1] + node.col_offset
        end = self._offsets[node.end_lineno - 1] + node.end_col_offset  # type: ignore[operator]
        what = " ".join(ast.unparse(node).split())
        self.found.append(Mutant(self.path, start, end, new, node.lineno, what))

    def visit_Call(self, node: ast.Call) -> None:
        named = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if named in ("where", "and_"):
            for argument in node.args:
                if not isinstance(argument, ast.Starred):
                    self.add(argument, "sa.true()")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        # `same = (a == 1, b == 2)`, handed to a `where(*same)`.
        if isinstance(node.value, ast.Tuple) and any(isinstance(item, ast.Compare) for item in node.value.elts):
            for item in node.value.elts:
                self.add(item, "sa.true()")
        self.generic_visit(node)


def sql_mutants() -> Iterator[Mutant]:
    """Return the mutants of the statements."""
    for path in WRITES:
        text = path.read_text(encoding="utf-8")
        conditions = Conditions(path, text)
        conditions.visit(ast.parse(text))
        yield from conditions.found


def rule_mutants() -> Iterator[Mutant]:
    """Return the mutants of what is decided once for all stores: each `if` never holds, each part of an `and` always does."""
    for path, names in RULES.items():
        text = path.read_text(encoding="utf-8")
        conditions = Conditions(path, text)
        for function in ast.parse(text).body:
            if isinstance(function, ast.FunctionDef) and (not names or function.name in names):
                for node in ast.walk(function):
                    if isinstance(node, ast.If | ast.IfExp):
                        conditions.add(node.test, "False")
                    elif isinstance(node, ast.BoolOp):
                        for value in node.values:
                            conditions.add(value, str(isinstance(node.op, ast.And)))
        yield from conditions.found


def lua_mutants() -> Iterator[Mutant]:
    """Return the mutants of the scripts: each early return without its guard, and without each part of it."""
    for path in sorted(LUA.glob("*.lua")):
        if path.name in HELPERS:
            continue
        text = path.read_text(encoding="utf-8")
        for found in GUARD.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            whole = (found.start(1), found[1], "false")
            for start, part, new in dict.fromkeys((whole, *_parts(found.start(1), found[1]))):
                before = len(text[:start].encode())
                yield Mutant(path, before, before + len(part.encode()), new, line, part)


def _parts(start: int, condition: str) -> Iterator[tuple[int, str, str]]:
    """Return the operands of a condition, those of `or` to be false and those of `and` true, as far down as they go."""
    for word, new in ((" or ", "false"), (" and ", "true")):
        depth, begin, parts = 0, 0, []
        for place, letter in enumerate(condition):
            depth += (letter == "(") - (letter == ")")
            if depth == 0 and condition.startswith(word, place):
                parts.append((begin, condition[begin:place]))
                begin = place + len(word)
        if parts:
            for offset, part in (*parts, (begin, condition[begin:])):
                yield start + offset, part, new
                inner = part.removeprefix("not ").strip()
                if inner.startswith("(") and inner.endswith(")"):
                    yield from _parts(start + offset + part.index("(") + 1, inner[1:-1])
            return


def suites_of(mutant: Mutant) -> Sequence[list[str]]:
    """Return the suites that run what the mutant changes."""
    if mutant.path.suffix == ".lua":
        return LUA_SUITES
    return RULE_SUITES if mutant.path in RULES else SQL_SUITES


def caught_by(mutant: Mutant, copy: Path, suite: list[str]) -> str:
    """Run a suite on a copy with the mutant; return the first test that failed, or nothing."""
    target = copy / mutant.path.relative_to(ROOT)
    whole = target.read_bytes()
    target.write_bytes(whole[: mutant.start] + mutant.new.encode() + whole[mutant.end :])
    try:
        environment = {**os.environ, "PYTHONPATH": str(copy), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        done = subprocess.run([*PYTEST, *suite], cwd=copy, env=environment, capture_output=True, text=True, check=False)
    finally:
        target.write_bytes(whole)
    if done.returncode not in (0, 1, 2):
        raise RuntimeError(f"pytest did not come to an end: {done.returncode}\n{done.stdout[-2000:]}{done.stderr}")
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return (failed[0][:200] if failed else f"status {done.returncode}") if done.returncode else ""


@contextmanager
def one_postgresql() -> Iterator[None]:
    """Start one PostgreSQL for all mutants, where there is none that is named; each pytest makes a database in it."""
    servers = runpy.run_path(str(ROOT / "tests" / "servers.py"))
    with ExitStack() as stack:
        if "CP_TEST_POSTGRESQL" not in os.environ:
            with suppress(servers["NoServer"]):
                os.environ["CP_TEST_POSTGRESQL"] = stack.enter_context(servers["started_postgresql"]())
        yield


def tried(mutants: Sequence[Mutant], jobs: int) -> Iterator[tuple[Mutant, str]]:
    """Try the mutants, so many at a time, each in a copy of the repository; give each with the test that caught it.

    A suite goes through all of them before the next one does, so that what is easily caught does not wait.
    """
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        copies: Queue[Path] = Queue()
        for number in range(jobs):
            copy = Path(folder) / str(number)
            shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
            copies.put(copy)

        def attempt(mutant: Mutant, suite: list[str]) -> tuple[Mutant, str]:
            copy = copies.get()
            try:
                return mutant, caught_by(mutant, copy, suite)
            finally:
                copies.put(copy)

        alive = list(mutants)
        for number in range(max(map(len, (SQL_SUITES, RULE_SUITES, LUA_SUITES)))):
            tries = [(mutant, suites_of(mutant)[number]) for mutant in alive if number < len(suites_of(mutant))]
            for done in as_completed([pool.submit(attempt, *each) for each in tries]):
                mutant, test = done.result()
                if test:
                    alive.remove(mutant)
                    yield mutant, test
        yield from ((mutant, "") for mutant in alive)


def main() -> int:
    """Check every mutant, or those whose description contains a word."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="list the mutants and stop")
    parser.add_argument("--only", default="", help="only mutants whose description contains this")
    parser.add_argument("--part", default="1/1", help="the k-th of n parts, such as 2/4, to spread the check over machines")
    parser.add_argument("--jobs", type=int, default=1, help="how many mutants are tried at a time")
    parser.add_argument("--log", type=Path, help="a file to note verdicts in; what it says was caught is not tried again")
    options = parser.parse_args()
    part, parts = (int(number) for number in options.part.split("/"))
    mutants = [mutant for mutant in (*sql_mutants(), *rule_mutants(), *lua_mutants()) if options.only in str(mutant)][
        part - 1 :: parts
    ]
    if options.list:
        print("\n".join(str(mutant) for mutant in mutants))
        return 0
    known = options.log.read_text(encoding="utf-8").splitlines() if options.log and options.log.exists() else []
    noted = {line.removeprefix("caught: ").split("\t")[0] for line in known if line.startswith("caught: ")}
    todo = [mutant for mutant in mutants if str(mutant) not in noted]
    began, survivors = time.monotonic(), 0
    with one_postgresql():
        for mutant, test in tried(todo, options.jobs):
            verdict = f"{'caught' if test else 'SURVIVED'}: {mutant}\t{test}"
            print(verdict, flush=True)
            if options.log:
                with options.log.open("a", encoding="utf-8") as log:
                    log.write(f"{verdict}\n")
            survivors += not test
    caught, spent = len(mutants) - survivors, time.monotonic() - began
    print(
        f"mutants: {caught} of {len(mutants)} caught ({caught / max(len(mutants), 1):.1%}), {len(todo)} tried in {spent:.0f} s"
    )
    return 0 if caught >= GOAL * len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
