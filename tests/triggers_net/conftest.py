"""The servers that these tests look at."""

from tests.servers.fixtures import (
    authority,
    authority_pem,
    broker,
    http_server,
    https_server,
    lookout,
    mock_cluster,
    object_server,
    own_broker,
)

__all__ = [
    "authority",
    "authority_pem",
    "broker",
    "http_server",
    "https_server",
    "lookout",
    "mock_cluster",
    "object_server",
    "own_broker",
]
