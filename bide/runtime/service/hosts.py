"""By which names a TCP port may be asked, and from which pages: what stops another site's page in a browser.

A page of another site can make a browser send requests here, and, by changing where its own name
leads (DNS rebinding), even read the answers. It can send neither another `Host` than that name nor
another `Origin` than its own. A literal address cannot be made to lead elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

import msgspec

from bide.runtime.service.refusals import Refusal

LOCAL: Final = frozenset({"localhost"})
_NOT_OURS: Final = frozenset({"cross-site", "same-site"})


class Hosts(msgspec.Struct, frozen=True):
    """The names that are this service's own, in lower case, and literal addresses: of the loopback, or any."""

    names: frozenset[str] = LOCAL
    any_address: bool = False

    def check(self, said: Sequence[bytes]) -> None:
        """`Refusal` unless there is one `Host`, and it is one of these."""
        if len(said) != 1:
            raise Refusal(400, "Not meant", "Host is said once", "UsageError", last=True)
        host = name_of(said[0].decode("latin-1"))
        if host in self.names:
            return
        found = _address(host)
        if found is not None and (self.any_address or is_loopback(found)):
            return
        raise Refusal(
            421, "Not this service", f"this service is not asked by the name {host[:100]!r}: "
            "`bide serve --allow-host NAME` (or `hosts` in bide.toml) names those it goes by", last=True,
        )  # fmt: skip


def name_of(host: str) -> str:
    """The name of a `Host` or an authority, without its port, in lower case.

    >>> name_of("LocalHost:8000"), name_of("[::1]:80"), name_of("127.0.0.1")
    ('localhost', '[::1]', '127.0.0.1')
    """
    host = host.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].removesuffix(".")


def same_origin(origins: Sequence[bytes], fetch_site: str, host: str) -> None:
    """`Refusal` when a browser says that another site's page is asking. Programs say nothing of the kind."""
    if fetch_site.strip().lower() in _NOT_OURS or len(origins) > 1:
        raise _other_site(fetch_site or "several origins")
    for each in origins:
        origin = each.decode("latin-1")
        try:
            authority = urlsplit(origin).netloc.lower()
        except ValueError:
            authority = ""
        if not authority or authority != host.strip().lower():
            raise _other_site(origin)


def _other_site(origin: str) -> Refusal:
    return Refusal(
        403, "Another site", f"asked by a page of another site ({origin[:100]!r}): nothing is done for those", last=True
    )  # fmt: skip


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def is_loopback(address: IPv4Address | IPv6Address) -> bool:
    """Whether only this machine reaches it; also an IPv4 one in the clothes of IPv6."""
    inner = getattr(address, "ipv4_mapped", None)
    return (inner or address).is_loopback
