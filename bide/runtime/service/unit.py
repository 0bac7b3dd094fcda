"""The unit that systemd runs `bide serve` by: text made of a few facts, and recognised again.

A system unit is locked in: it sees its code and DAGs read-only, and writes its state directory and
what it is given besides. What would break tasks at large is left open, and said beside it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import msgspec

import bide
from bide.runtime.errors import UsageError

NOTIFY_RELOAD_SINCE: Final = 253
"""The systemd that knows `Type=notify-reload`; an older one takes it for a service that says nothing."""
RESTART_STEPS_SINCE: Final = 254
CLOSING_S: Final = 30
"""What a stop may take beyond its drain: bodies that are cut are stopped, the database is closed."""
_HIDDEN: Final = tuple(Path(place) for place in ("/home", "/root", "/run/user", "/tmp", "/var/tmp"))  # noqa: S108
_MADE: Final = "# made: "


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """What a unit says. All paths are absolute."""

    name: str
    """without `.service`; the state directory bears it too"""
    command: tuple[str, ...]
    folder: Path
    """where it stands: settings are found from there"""
    reads: tuple[Path, ...] = ()
    """what it must see: code, interpreter, DAGs"""
    writes: tuple[Path, ...] = ()
    """what it may write besides its state"""
    credentials: tuple[tuple[str, str], ...] = ()
    """(name, path) of what tasks find as `Secret("credential:NAME")`"""
    drain_s: float = 30.0
    run_as: str | None = None
    """a user that there is; None: one made for the service"""
    user: bool = False
    """for a person's own service manager"""
    systemd: int | None = None
    """the version it is for; None: not an old one"""

    @property
    def file(self) -> str:
        return f"{self.name}.service"


def unit_text(unit: Unit) -> str:
    """The whole file, with the mark by which `untouched` knows it."""
    body = "\n".join([*_unit(unit), "", *_service(unit), "", *_install(unit), ""])
    how = "systemctl --user edit" if unit.user else "systemctl edit"
    return (
        f"# {unit.file}: bide {bide.__version__} as a service. `{how} {unit.name}` adds to it; a changed file\n"
        f"# is never overwritten by `bide systemd install`.\n{_MADE}{_mark(body)}\n\n{body}"
    )


def untouched(text: str) -> bool:
    """Whether a unit is as bide wrote it: nobody has changed a line since."""
    head, mark, rest = text.partition(f"\n{_MADE}")
    said, _, body = rest.partition("\n\n")
    return head.startswith("# ") and bool(mark) and said == _mark(body)


def quoted(word: str, *, command: bool = False) -> str:
    r"""A word as systemd reads it: specifiers and, in a command, variables are taken literally.

    >>> quoted("/srv/dags"), quoted("50% of $HOME", command=True)
    ('/srv/dags', '"50%% of $$HOME"')
    """
    if not word.isprintable():
        raise UsageError(f"{word!r} has characters that no unit can hold: use another name")
    said = word.replace("%", "%%")
    if command:
        said = said.replace("$", "$$")
    if word and not any(c in " \t\"'\\;" for c in word):
        return said
    escaped = said.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def hidden(path: Path) -> bool:
    """Whether a locked-in service does not see this place unless it is given it."""
    return any(path.is_relative_to(place) for place in _HIDDEN)


def _mark(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:32]


def _unit(unit: Unit) -> list[str]:
    lines = ["[Unit]", f"Description=bide, the DAGs of {quoted(str(unit.folder)).strip(chr(34))}"]
    if not unit.user:  # schedules need a clock that is right, sensors a network
        lines += ["Wants=network-online.target", "After=network-online.target time-sync.target"]
    if _patient(unit):
        return [
            *lines,
            "# it is tried again for as long as it takes, ever more slowly",
            "StartLimitIntervalSec=0",
        ]
    return [*lines, "StartLimitIntervalSec=60", "StartLimitBurst=10"]


def _patient(unit: Unit) -> bool:
    return unit.systemd is None or unit.systemd >= RESTART_STEPS_SINCE


def _service(unit: Unit) -> list[str]:
    old = unit.systemd is not None and unit.systemd < NOTIFY_RELOAD_SINCE
    typed = ["Type=notify", "ExecReload=/bin/kill -HUP $MAINPID"] if old else ["Type=notify-reload"]
    command = " ".join(quoted(word, command=True) for word in unit.command)
    return [
        "[Service]",
        *typed,
        f"ExecStart={command}",
        f"WorkingDirectory={_literal(unit.folder)}",
        f"EnvironmentFile=-%E/bide/{unit.name}.env",
        *(f"LoadCredential={name}:{_literal(Path(path))}" for name, path in unit.credentials),
        "",
        "# It says when it is ready, and that it lives; what was acknowledged survives its end.",
        "NotifyAccess=main",
        "WatchdogSec=30",
        "TimeoutStartSec=5min",
        f"TimeoutStopSec={unit.drain_s + CLOSING_S:g}",
        "KillMode=mixed",
        "Restart=on-failure",
        "RestartSec=200ms",
        *(["RestartSteps=10", "RestartMaxDelaySec=1min"] if _patient(unit) else []),
        "# wrong options, nothing there: a restart would not help",
        "RestartPreventExitStatus=2 3",
        "# a task that runs out of memory takes nobody with it",
        "OOMPolicy=continue",
        "LimitNOFILE=65536",
        "",
        *(_person(unit) if unit.user else _locked_in(unit)),
    ]


def _literal(path: Path) -> str:
    """A path that is the rest of its line."""
    text = str(path)
    if not text.isprintable() or text != text.strip():
        raise UsageError(f"{text!r} has characters that no unit can hold: use another name")
    return text.replace("%", "%%")


def _listed(paths: tuple[Path, ...]) -> str:
    return " ".join(quoted(str(path).replace("\\", "\\\\").replace(":", "\\:")) for path in paths)


def _locked_in(unit: Unit) -> list[str]:
    shown = tuple(path for path in unit.reads if hidden(path))
    return [
        f"User={unit.run_as}" if unit.run_as else "DynamicUser=yes",
        f"StateDirectory={unit.name}",
        "StateDirectoryMode=0700",
        f"RuntimeDirectory={unit.name}",
        "RuntimeDirectoryMode=0700",
        "UMask=0077",
        "LimitCORE=0",
        "",
        "# It reads all but people's homes, and writes its state, and what stands in ReadWritePaths.",
        "ProtectSystem=strict",
        "ProtectHome=tmpfs",
        "PrivateTmp=yes",
        "PrivateMounts=yes",
        *([f"BindReadOnlyPaths={_listed(shown)}"] if shown else []),
        *([f"ReadWritePaths={_listed(unit.writes)}"] if unit.writes else []),
        "PrivateDevices=yes",
        "ProtectProc=invisible",
        "ProtectClock=yes",
        "ProtectControlGroups=yes",
        "ProtectHostname=yes",
        "ProtectKernelLogs=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelTunables=yes",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "AmbientCapabilities=",
        "RestrictNamespaces=yes",
        "KeyringMode=private",
        "RemoveIPC=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        *_calls(),
        "# Stricter, where all that tasks do bears it: compilers at run time (java, node, numba) need the first,",
        "# names of other users (who asked, in the audit log) the second.",
        "# MemoryDenyWriteExecute=yes",
        "# PrivateUsers=yes",
    ]


def _person(unit: Unit) -> list[str]:
    """What a manager without rights can enforce: the kernel's own filters, no mounts."""
    return ["UMask=0077", "NoNewPrivileges=yes", *_calls()]


def _calls() -> list[str]:
    return [
        "LockPersonality=yes",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
        "SystemCallArchitectures=native",
        "SystemCallFilter=@system-service",
        "SystemCallFilter=~@privileged",
        "SystemCallErrorNumber=EPERM",
    ]


def _install(unit: Unit) -> list[str]:
    return ["[Install]", f"WantedBy={'default' if unit.user else 'multi-user'}.target"]
