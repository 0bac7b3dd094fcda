"""Which addresses an HTTP wait may reach. Pure: what a name resolved to is handed in.

Link-local and cloud-metadata addresses are refused unless they are listed one by one; loopback
and private networks are open, for a laptop. With an allow-list (`BIDE_HTTP_ALLOW`, separated by
commas) nothing else is reached: `api.example.org`, `*.example.org`, `host:8443`, `10.1.0.0/16`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

import msgspec

Address = IPv4Address | IPv6Address

_REFUSED: Final = tuple(
    map(
        ip_network,
        (
            "169.254.0.0/16",  # link-local; the metadata service of most clouds
            "fe80::/10",  # the same for IPv6
            "fd00:ec2::254/128",  # metadata over IPv6
            "fd20:ce::254/128",  # the same elsewhere
            "168.63.129.16/32",  # the host of a virtual machine, which gives it its secrets
            "100.100.100.200/32",  # metadata, in the range of carrier NAT
            "192.0.0.192/32",  # metadata
            "224.0.0.0/4",  # multicast
            "ff00::/8",
            "255.255.255.255/32",
        ),
    )
)
_CARRIERS: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("::ffff:0:0:0/96"))
"""NAT64, and what translates between the two (SIIT): the last 32 bits are an IPv4 address."""


class HttpPolicy(msgspec.Struct, frozen=True):
    """`allow` is None for every address but the refused ones, else the only ones allowed."""

    allow: tuple[str, ...] | None = None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> HttpPolicy:
        """The policy that `BIDE_HTTP_ALLOW` states; unset or empty means no list."""
        listed = tuple(part.strip().lower() for part in environ.get("BIDE_HTTP_ALLOW", "").split(","))
        return cls(tuple(filter(None, listed)) or None)


def why_refused(url: str, policy: HttpPolicy, resolved: Iterable[str] = ()) -> str | None:
    """Why `url` may not be asked, or None when it may.

    `resolved` are the addresses its name stands for; a literal address in the url, in any of its
    spellings, counts as resolved.

    >>> why_refused("http://2852039166/latest", HttpPolicy())
    'address 169.254.169.254 is link-local, multicast or a metadata service'
    >>> why_refused("http://127.0.0.1:8080/", HttpPolicy())
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower().rstrip(".")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    literal = literal_address(host)
    addresses = [_plain(ip_address(one.partition("%")[0])) for one in resolved]
    if literal is not None:
        addresses.append(_plain(literal))
    for address in addresses:
        for network in _REFUSED:
            if address in network and not _listed(address, policy, within=network):
                return f"address {address} is link-local, multicast or a metadata service"
    if policy.allow is None or any(_names(entry, host, port) for entry in policy.allow):
        return None
    if addresses and all(_listed(address, policy) for address in addresses):
        return None
    return f"{host}:{port} is not in BIDE_HTTP_ALLOW"


def allowed(url: str, policy: HttpPolicy, resolved: Iterable[str] = ()) -> bool:
    return why_refused(url, policy, resolved) is None


def literal_address(host: str) -> Address | None:
    """The address `host` spells, in dotted, decimal, octal, hex or IPv6 form; None for a name.

    >>> literal_address("0x7f.1"), literal_address("example.org")
    (IPv4Address('127.0.0.1'), None)
    """
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        pass
    if not host or host[-1] not in "0123456789abcdefABCDEF" or not host[0].isdigit():
        return None
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeEncodeError):
        return None


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one carries (mapped, translated, 6to4, NAT64, compatible), or itself."""
    if isinstance(address, IPv4Address):
        return address
    if any(address in each for each in _CARRIERS) or 1 < int(address) < 2**32:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _listed(address: Address, policy: HttpPolicy, within: object = None) -> bool:
    """Whether a network in the allow-list holds `address` (and lies within `within`)."""
    for entry in policy.allow or ():
        try:
            network = ip_network(entry.strip("[]"))
        except ValueError:
            continue
        if address in network and (within is None or _inside(network, within)):
            return True
    return False


def _inside(network: object, outer: object) -> bool:
    return type(network) is type(outer) and network.subnet_of(outer)  # type: ignore[attr-defined]


def _names(entry: str, host: str, port: int) -> bool:
    if fnmatchcase(host, entry):
        return True
    name, colon, number = entry.rpartition(":")
    return bool(colon) and number == str(port) and fnmatchcase(host, name.strip("[]"))
