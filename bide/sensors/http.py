"""`HttpSensor`: waits for an answer of an HTTP server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Unpack

import msgspec

from bide.runtime.clock import SECOND
from bide.runtime.errors import GraphError
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.handle import Linked
from bide.sensors.base import Sensor, SensorOptions, copied
from bide.triggers.http import HttpTrigger

Text = str | Callable[..., str] | Linked


class HttpSensor(Sensor):
    """Waits until `url` answers with a status in `expect_status` and a body as asked.

    `expect_status` (2xx) means ready, `fail_on` (none) fails the wait, every other status means
    wait: a number, `"5xx"`, or several. The body must hold `contains`, and a true value at
    `json_path`, or the value `equals`. `auth` is `(user, Secret(...))` or a `Secret` as bearer
    token; secrets may also stand in `headers` and `body`. `max_rps` bounds the requests a second
    of all waits on the origin, `look_timeout` one request. Identical requests are one.

    Templates fill `url`, `headers`, `body` and texts; a brace of its own is written twice.
    """

    __slots__ = ()

    kind = "http"
    poll_interval = timedelta(seconds=30)
    samples: ClassVar[Mapping[str, Any]] = {
        "url": "http://sample.invalid/",
        "headers": {},
        "body": None,
        "contains": "text",
        "equals": [None],
        "auth": None,
        "ca": None,
    }

    def __init__(
        self,
        name: str,
        *,
        url: Text,
        method: str = "GET",
        headers: Mapping[str, Any] | None = None,
        body: Any = None,
        expect_status: Any = None,
        json_path: str | None = None,
        equals: Any = msgspec.UNSET,
        contains: Text | None = None,
        auth: Any = None,
        fail_on: Any = None,
        max_rps: float | None = None,
        follow_redirects: bool = True,
        look_timeout: timedelta = timedelta(seconds=30),
        ca: Text | None = None,
        env_proxies: bool = False,
        **options: Unpack[SensorOptions],
    ) -> None:
        self._title = f"the sensor {name!r}"
        params: dict[str, Any] = {
            "url": url,
            "method": method,
            "headers": copied(headers),
            "body": body,
            "expect_status": expect_status,
            "json_path": json_path,
            "contains": contains,
            "auth": auth,
            "fail_on": fail_on,
            "max_rps": max_rps,
            "follow_redirects": follow_redirects,
            "look_timeout_us": self.span_param(look_timeout, "look_timeout"),
            "ca": ca,
            "env_proxies": env_proxies,
        }
        if equals is not msgspec.UNSET:
            if json_path is None:
                raise GraphError(
                    f"{self._title}: equals needs json_path: say which value it is compared with"
                )
            params["equals"] = [equals]  # in a list: None is a value to compare with
        super().__init__(name, params, options)

    @classmethod
    def make(cls, params: Mapping[str, Any], facts: Facts) -> HttpTrigger:
        given = dict(params)
        given["timeout"] = given.pop("look_timeout_us") / SECOND
        if "equals" in given:
            given["equals"] = given["equals"][0]
        return HttpTrigger(**given)
