"""Object waits on a real S3 server, on folders and in memory: one listing per prefix per look."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from bide.runtime.clock import SECOND
from bide.runtime.errors import UsageError
from bide.runtime.values import Secret
from bide.triggers import decode_trigger, encode_trigger
from bide.triggers.base import Fire, LookFailed, NotYet, Verdict
from bide.triggers.objects import Listing, ObjectSeen, ObjectTrigger
from tests.servers.http_server import HttpServer, black_hole, reply, unused_port
from tests.servers.object_server import ObjectServer
from tests.servers.worlds import Lookout, World

pytest.importorskip("obstore", reason="no obstore: install the extra `objects`")


def keys(verdict: Verdict) -> list[str]:
    assert isinstance(verdict, Fire), verdict
    return [one["key"] for one in verdict.event["objects"]]


class TestS3:
    async def test_s3_31_a_key_that_appears(self, object_server: ObjectServer, lookout: Lookout) -> None:
        trigger = ObjectTrigger(url="s3://drops/day/a.csv", options=object_server.options)
        assert isinstance(await lookout(trigger), NotYet)
        object_server.put("day/a.csv", b"12345")
        verdict = await lookout(trigger)
        assert isinstance(verdict, Fire)
        assert (verdict.event["key"], verdict.event["size"]) == ("day/a.csv", 5)

    async def test_keys_prefixes_and_globs_share_a_listing(
        self, object_server: ObjectServer, lookout: Lookout
    ) -> None:
        for name in ("a.csv", "b.csv", "b.txt", "deep/c.csv"):
            object_server.put(f"day/{name}", b"x")
        object_server.put("day2/z.csv", b"x")

        def at(key: str, **more: Any) -> ObjectTrigger:
            return ObjectTrigger(url=f"s3://drops/{key}", options=object_server.options, **more)

        triggers = [
            at("day/"),
            at("day/*.csv"),
            at("day/**/*.csv"),
            at("day/b.txt"),
            at("day/[ac].*", count=2),
        ]
        assert {trigger.poll_key() for trigger in triggers} == {"day/"}
        folder, csv, deep, one, two = await lookout.together(*triggers)
        assert keys(folder) == ["day/a.csv", "day/b.csv", "day/b.txt", "day/deep/c.csv"]
        assert keys(csv) == ["day/a.csv", "day/b.csv"]
        assert keys(deep) == ["day/a.csv", "day/b.csv", "day/deep/c.csv"]
        assert keys(one) == ["day/b.txt"]
        assert isinstance(two, NotYet)
        assert "1 of 2" in two.reason

    async def test_a_bucket_that_is_not_there(self, object_server: ObjectServer, lookout: Lookout) -> None:
        trigger = ObjectTrigger(url="s3://nowhere/x/", options=object_server.options, timeout=5)
        try:
            assert isinstance(await lookout(trigger), NotYet)
        except LookFailed as error:
            assert "nowhere" in str(error) or "NoSuchBucket" in str(error)  # noqa: PT017 - either is right

    async def test_more_keys_than_one_page(self, object_server: ObjectServer, lookout: Lookout) -> None:
        for number in range(1100):
            object_server.put(f"many/{number:04}", b"")
        verdict = await lookout(
            ObjectTrigger(url="s3://drops/many/", count=1100, options=object_server.options)
        )
        assert isinstance(verdict, Fire)
        assert verdict.event["count"] == 1100
        assert len(verdict.event["objects"]) == 100

    async def test_nobody_listens(self, lookout: Lookout) -> None:
        options = {"endpoint": f"http://127.0.0.1:{unused_port()}", "region": "x", "skip_signature": "true"}
        with pytest.raises(LookFailed):
            await lookout(ObjectTrigger(url="s3://drops/a", options=options, timeout=2))

    async def test_a_hung_store_is_a_bounded_look(self, http_server: HttpServer, lookout: Lookout) -> None:
        http_server.on("/drops/a", black_hole())
        options = {"endpoint": http_server.url(""), "region": "x", "skip_signature": "true"}
        with pytest.raises(LookFailed):
            await lookout(ObjectTrigger(url="s3://drops/a", options=options, timeout=0.3))

    async def test_a_refusal_is_a_failed_look_without_the_secret(
        self, http_server: HttpServer, lookout: Lookout, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CANARY", "canary-99ab")
        http_server.on("/drops/a", reply(403, "AccessDenied canary-99ab"))
        http_server.on("/drops", reply(403, "AccessDenied canary-99ab"))
        options = {
            "endpoint": http_server.url(""),
            "region": "x",
            "access_key_id": "id",
            "secret_access_key": Secret("env:CANARY"),
        }
        trigger = ObjectTrigger(url="s3://drops/pre/", options=options, timeout=3)
        with pytest.raises(LookFailed) as caught:
            await lookout(trigger)
        assert "canary-99ab" not in str(caught.value)
        stored = encode_trigger(trigger)
        assert b"canary-99ab" not in stored
        assert decode_trigger(stored) == trigger


class TestFolders:
    async def test_file_urls(self, tmp_path: Path, lookout: Lookout) -> None:
        trigger = ObjectTrigger(url=f"file://{tmp_path}/in/*.csv", min_size=3)
        assert isinstance(await lookout(trigger), NotYet)
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "a.csv").write_text("12")
        assert isinstance(await lookout(trigger), NotYet)
        (tmp_path / "in" / "b.csv").write_text("123")
        assert keys(await lookout(trigger)) == [f"{tmp_path}/in/b.csv".lstrip("/")]

    async def test_memory_urls(self, lookout: Lookout) -> None:
        import obstore

        from bide.triggers.object_source import memory_store

        trigger = ObjectTrigger(url="memory://box/a/b")
        assert isinstance(await lookout(trigger), NotYet)
        await obstore.put_async(memory_store("box"), "a/b", b"x")
        assert isinstance(await lookout(trigger), Fire)


def test_size_and_age_are_judged() -> None:
    seen = Listing({"k": ObjectSeen("k", 5, 10 * SECOND)})
    small = ObjectTrigger(url="s3://b/k", min_size=6).judge(seen, None, 0)
    old = ObjectTrigger(url="s3://b/k", newer_than_us=10 * SECOND).judge(seen, None, 0)
    fresh = ObjectTrigger(url="s3://b/k", newer_than_us=10 * SECOND - 1).judge(seen, None, 0)
    assert isinstance(small, NotYet)
    assert "5 of 6 bytes" in small.reason
    assert isinstance(old, NotYet)
    assert "newer_than" in old.reason
    assert isinstance(fresh, Fire)


def test_without_obstore_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refusing(name: str, *rest: Any, **more: Any) -> Any:
        if name == "obstore":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refusing)
    trigger = ObjectTrigger(url="s3://b/k")
    with pytest.raises(UsageError, match=r"pip install 'bide\[objects\]'"):
        ObjectTrigger.make_source(trigger.source_key(), World())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"url": "http://b/k"}, "address of an object"),
        ({"url": "s3:///k"}, "address of an object"),
        ({"url": "s3://b"}, "names a bucket"),
        ({"url": "file://host/k"}, "three slashes"),
        ({"url": "s3://id:key@b/k"}, "credentials"),
        ({"url": "s3://b/k", "count": 2}, "one key"),
        ({"url": "s3://b/k/", "count": 0}, "count"),
        ({"url": "s3://b/k", "timeout": 0}, "timeout"),
        ({"url": "s3://b/k", "options": {"secret_access_key": "clear"}}, "Secret"),
    ],
)
def test_a_wrong_option_is_one_clear_sentence(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        ObjectTrigger(**options)
