"""What the package says it needs is what is tested."""

from __future__ import annotations

import tomllib
import warnings
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OLDEST = ROOT / "tests" / "oldest.txt"


def lower_bounds() -> dict[str, Version]:
    """Return the highest of the lower bounds of each package that is needed, by an extra or by the tests too."""
    found: dict[str, Version] = {}
    groups = PROJECT["project"]["optional-dependencies"].values()
    for text in chain(PROJECT["project"]["dependencies"], *groups, PROJECT["dependency-groups"]["test"]):
        needed = Requirement(text)
        [bound] = [Version(each.version) for each in needed.specifier if each.operator == ">="]
        name = canonicalize_name(needed.name)
        found[name] = max(bound, found.get(name, bound))
    return found


def test_the_oldest_versions_are_those_declared() -> None:
    """What `tox -e oldest` installs are the lower bounds of pyproject.toml, all of them and no others."""
    lines = [line for line in OLDEST.read_text().splitlines() if line and not line.startswith("#")]
    pinned = {name: Version(version) for name, _, version in (line.partition("==") for line in lines)}
    assert pinned == lower_bounds()
    assert "tests{/}oldest.txt" in (ROOT / "tox.ini").read_text()


def test_a_redis_store_needs_no_redis_broker() -> None:
    """The extra of the store does not bring what kombu wants of redis-py, which not every broker needs."""
    names = [Requirement(text).name for text in PROJECT["project"]["optional-dependencies"]["redis"]]
    assert names == ["redis"]


def warn(module: str, category: type[Warning]) -> None:
    """Warn of something deprecated, as code of that module does."""
    exec(f"import warnings; warnings.warn('old', {category.__name__}, stacklevel=1)", {"__name__": module})


@pytest.mark.parametrize("module", ["celery_process", "celery_process.stores.sql.engine"])
@pytest.mark.parametrize("category", [DeprecationWarning, PendingDeprecationWarning])
def test_a_deprecated_use_in_the_package_fails(module: str, category: type[Warning]) -> None:
    """A module of the package that uses what is deprecated fails the test that meets it; another package's does not."""
    with pytest.raises(category):
        warn(module, category)
    with warnings.catch_warnings(record=True) as seen:
        warn("another", category)
    assert [str(each.message) for each in seen] == ["old"]
