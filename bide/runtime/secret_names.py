"""Names under which a secret stands, whatever it looks like: what they name is neither recorded nor shown."""

from __future__ import annotations

import re
from typing import Final

_SECRET: Final = re.compile(
    r"pass(word|wd|phrase)?$|password|passwd|passphrase|secret|token|api_?key|access_?key|account_?key|"
    r"private_?key|signing_?key|encryption_?key|ssh_?key|keyfile|key_?data|authorization|^auth$|credential|cookie|"
    r"session_?id|connection_?string|^dsn$|jwt|bearer|signature|service_?account|sas_?url|webhook_?url"
)


def is_secret(name: str) -> bool:
    """Whether what stands under this name is a secret, whatever it looks like.

    >>> is_secret("db_Password"), is_secret("X-Api-Key"), is_secret("path")
    (True, True, False)
    """
    return _SECRET.search(name.lower().replace("-", "_")) is not None
