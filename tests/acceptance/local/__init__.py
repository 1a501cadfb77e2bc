"""A stand-in for the client of Docker's SDK that runs local processes.

pytest-celery builds every node through pytest-docker-tools, and all of that goes through one fixture, `docker_client`.
With a `LocalDocker` in its place its nodes, clusters and log assertions work as they are, on machines without Docker.
"""

from .client import LocalDocker
from .patches import polling_fast

__all__ = ["LocalDocker", "polling_fast"]
