"""Whether a route could send in this process: asked when it is taken up, before there is anything to tell."""

from __future__ import annotations

from importlib.util import find_spec

from bide.runtime.errors import BideError
from bide.runtime.notify.routes import Route, Webhook, revealed
from bide.runtime.values import Secret, redactor


def unsendable(route: Route) -> str:
    """Why nothing could be sent over it as things are: a secret, or a library, that is missing; "" when it could.

    Secrets may be files: it blocks.
    """
    to = route.to
    try:
        if isinstance(to, Webhook):
            for text in (to.url, *to.headers.values()):
                revealed(text)
            for secret in to.secrets:
                secret.resolve()
            return ""
        to.resolve() if isinstance(to, Secret) else revealed(to)
    except BideError as error:
        return redactor(str(error))
    return "" if find_spec("apprise") is not None else "apprise is missing: pip install 'bide[notify]'"
