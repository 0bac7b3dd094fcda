"""Whether a hook could check signatures in this process, now; why not, in a sentence that names its references."""

from __future__ import annotations

from bide.runtime.errors import BideError, NotFoundError
from bide.runtime.hooks.hook import HookSpec
from bide.runtime.hooks.signing import UNSIGNED, usable
from bide.runtime.values import Secret


def unchecked(spec: HookSpec) -> str:
    """Why no signature could be checked: no secret of it can be read, or be used. "" when one can, or none is needed."""
    if spec.kind != "webhook" or spec.scheme == UNSIGNED:
        return ""
    found, missing = [], []
    for ref in spec.secrets:
        try:
            found.append(Secret(ref).resolve())
        except NotFoundError:
            missing.append(ref)
    if not found:
        if len(missing) == 1:
            return f"the secret {missing[0]!r} cannot be read"
        return f"none of its secrets can be read: {', '.join(map(repr, missing)) or 'it names none'}"
    try:
        usable(spec.scheme, found)
    except BideError as error:
        return f"{error} ({', '.join(spec.secrets)})"
    return ""


def sentence(name: str, why: str) -> str:
    """What is wrong with a hook that cannot check, and what to do."""
    return (
        f"the hook {name!r} cannot check who sends: {why}; set it where the service runs: until then "
        "each delivery is refused (503)"
    )
