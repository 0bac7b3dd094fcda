"""The real object store."""

from tests.servers.fixtures import object_server

__all__ = ["object_server"]
