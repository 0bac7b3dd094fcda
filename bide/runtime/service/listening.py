"""What a process listens at, as the kernel has it: unix sockets and TCP ports. Nothing is connected to."""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

_LISTENS_TCP: Final = "0A"
_LISTENS_UNIX: Final = 0x10000
_SOCKET: Final = re.compile(r"socket:\[(\d+)\]")


class At(msgspec.Struct, frozen=True, order=True):
    """A place where it is listened at. `public`: from other machines too."""

    kind: str
    """unix or tcp"""
    address: str
    public: bool = False


def listening(pid: int) -> list[At] | None:
    """The places; None where they cannot be seen: another user's process, or no such file system."""
    try:
        inodes = set(_inodes(pid))
        found = {*_unix(pid, inodes), *_tcp(pid, inodes)}
    except OSError:
        return None
    return sorted(found)


def _inodes(pid: int) -> Iterator[str]:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            named = _SOCKET.fullmatch(str(link.readlink()))
        except OSError:
            continue
        if named is not None:
            yield named[1]


def _unix(pid: int, inodes: set[str]) -> Iterator[At]:
    for line in Path(f"/proc/{pid}/net/unix").read_text(errors="replace").splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[6] in inodes and int(fields[3], 16) & _LISTENS_UNIX:
            yield At("unix", fields[7])


def _tcp(pid: int, inodes: set[str]) -> Iterator[At]:
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        table = Path(f"/proc/{pid}/net/{name}")
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] == _LISTENS_TCP and fields[9] in inodes:
                yield _at(family, fields[1])


def _at(family: socket.AddressFamily, field: str) -> At:
    """`0100007F:1F90` is 127.0.0.1:8080: words of the machine's byte order, in hex."""
    from ipaddress import ip_address

    address, _, port = field.partition(":")
    words = [int(address[i : i + 8], 16) for i in range(0, len(address), 8)]
    text = socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))
    host = f"[{text}]" if family == socket.AF_INET6 else text
    return At("tcp", f"{host}:{int(port, 16)}", not ip_address(text).is_loopback)


def answers(path: Path) -> bool:
    """Whether somebody listens at a unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(os.fspath(path))
        except BlockingIOError:  # there is a queue, and it is long
            return True
        except OSError:
            return False
        return True
