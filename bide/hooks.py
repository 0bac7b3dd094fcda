"""Webhooks and CloudEvents: `Webhook("github", dag="build", scheme=GitHub(Secret("env:GITHUB_SECRET")))`."""

from __future__ import annotations

from bide.runtime.hooks.hook import (
    CloudEvents,
    Fixed,
    GitHub,
    Route,
    StandardWebhooks,
    Stripe,
    Unsigned,
    Webhook,
)

__all__ = ["CloudEvents", "Fixed", "GitHub", "Route", "StandardWebhooks", "Stripe", "Unsigned", "Webhook"]
