"""Who is told of failures, late runs, stale assets and the like: routes, by apprise or signed webhooks."""

from __future__ import annotations

from bide.runtime.notify.routes import KINDS, Route, Webhook

__all__ = ["KINDS", "Route", "Webhook"]
