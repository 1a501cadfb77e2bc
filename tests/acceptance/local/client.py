"""`LocalDocker`: containers, images, volumes and networks, as far as pytest-docker-tools asks for them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from .container import LocalContainer


class Named:
    """An image, a volume or a network: a name, and a folder where it needs one."""

    def __init__(self, name: str, folder: Path | None = None, *, labels: Mapping[str, str] | None = None) -> None:
        self.id = self.name = name
        self.folder = folder
        self.attrs = {"Labels": dict(labels or {})}

    def remove(self, *_: Any, **__: Any) -> None:
        """Delete its folder."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


class Images:
    """Nothing is built or pulled: the name of an image says what it stands for."""

    def build(self, *, path: str = "", tag: str | None = None, **_: Any) -> tuple[Named, Iterator[Any]]:
        """Return an image by its tag."""
        return Named(tag or Path(path).name), iter(())

    def pull(self, repository: str, **_: Any) -> Named:
        """Return an image by its name."""
        return Named(repository)


class Networks:
    """All containers are on this machine's loopback."""

    def create(self, name: str, *, labels: Mapping[str, str] | None = None, **_: Any) -> Named:
        """Return a network, which is a name."""
        return Named(name, labels=labels)


class Volumes:
    """Each volume is a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: dict[str, Named] = {}

    def create(self, name: str, *, labels: Mapping[str, str] | None = None, **_: Any) -> Named:
        """Make a folder."""
        folder = self._root / name
        folder.mkdir(parents=True, exist_ok=True)
        return self._made.setdefault(name, Named(name, folder, labels=labels))

    def folder(self, name: str) -> Path:
        """Return the folder of a volume; a name that is a path mounts that folder."""
        return Path(name) if name.startswith("/") else self._root / name


class Containers:
    """All containers of a session, so that none outlives it."""

    def __init__(self, root: Path, volumes: Volumes) -> None:
        self._root, self._volumes = root, volumes
        self._made: list[LocalContainer] = []

    def create(
        self, image: str, *, volumes: Mapping[str, Mapping[str, str]] | None = None, **options: Any
    ) -> LocalContainer:
        """Make a container without starting it."""
        mounts = {spec["bind"]: self._volumes.folder(name) for name, spec in (volumes or {}).items()}
        known = {key: options[key] for key in ("command", "environment", "ports", "network", "labels") if key in options}
        container = LocalContainer(image, folder=self._root, mounts=mounts, **known)
        self._made.append(container)
        return container

    def run(self, image: str, **options: Any) -> LocalContainer:
        """Make a container and start it."""
        return self.create(image, **options).start()

    def remove_all(self) -> None:
        """End what still runs."""
        while self._made:
            self._made.pop().remove()


class LocalDocker:
    """The client. Everything it makes is below `root`, and has ended when the block is left."""

    def __init__(self, root: Path) -> None:
        self.images, self.networks = Images(), Networks()
        self.volumes = Volumes(root / "volumes")
        self.containers = Containers(root / "containers", self.volumes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.containers.remove_all()
