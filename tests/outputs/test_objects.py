"""Outputs in an object store: staged beside the target, compared, copied, and nothing left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bide import Secret, outputs
from bide.runtime.errors import OutputError
from tests.outputs.stand_in import StandIn
from tests.outputs.test_kills import killed
from tests.servers.object_server import ObjectServer

pytest.importorskip("obstore", reason="no obstore: install the extra `objects`")

DAILY = "s3://drops/day={interval.start:%Y-%m-%d}/part.bin"


def there(server: ObjectServer) -> dict[str, bytes]:
    root = server.root / "drops"
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def publish(one: StandIn, data: bytes, **options: Any) -> dict[str, Any]:
    with outputs.open(one.ctx, DAILY, options=options) as out:
        out.path.write_bytes(data)
    return out.result


def test_s0_14_s0_15_an_object_is_published_by_a_copy_and_the_stage_goes(
    object_server: ObjectServer, tmp_path: Path
) -> None:
    made = publish(StandIn(tmp_path), b"12345", **object_server.options)
    assert (made["path"], made["size"]) == ("s3://drops/day=2026-06-15/part.bin", 5)
    assert there(object_server) == {"day=2026-06-15/part.bin": b"12345"}
    publish(StandIn(tmp_path, attempt=2), b"", **object_server.options)
    assert there(object_server) == {"day=2026-06-15/part.bin": b""}


async def test_s0_15_a_body_or_a_check_that_fails_sends_nothing(
    object_server: ObjectServer, tmp_path: Path
) -> None:
    publish(StandIn(tmp_path), b"old", **object_server.options)
    with pytest.raises(OutputError, match="said no"):
        async with outputs.open(StandIn(tmp_path).ctx, DAILY, options=object_server.options) as out:
            out.path.write_bytes(b"new")
            out.validate(lambda path: False)
    with pytest.raises(OutputError, match="nothing was written"):
        async with outputs.open(StandIn(tmp_path).ctx, DAILY, options=object_server.options):
            pass
    stopped = StandIn(tmp_path)
    with pytest.raises(OutputError, match="told to stop"):
        async with outputs.open(stopped.ctx, DAILY, options=object_server.options) as out:
            out.path.write_bytes(b"new")
            stopped.stopping = True
    assert there(object_server)["day=2026-06-15/part.bin"] == b"old"


def test_s0_15_what_an_attempt_left_aside_is_removed_by_the_next_of_its_instance_alone(
    object_server: ObjectServer, tmp_path: Path
) -> None:
    mine, other = StandIn(tmp_path, attempt=2), StandIn(tmp_path, run=2)
    stages = [outputs.open(one.ctx, DAILY, options=object_server.options)._stage for one in (mine, other)]
    for stage in stages:
        object_server.put(f"{stage._aside}/1.1", b"half")  # type: ignore[attr-defined]
    publish(mine, b"whole", **object_server.options)
    left = there(object_server)
    assert left.pop("day=2026-06-15/part.bin") == b"whole"
    assert list(left) == [f"{stages[1]._aside}/1.1"]  # type: ignore[attr-defined]


def test_a_store_out_of_reach_is_one_sentence_and_a_secret_is_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_KEY", "verysecretkey")
    options = {
        "endpoint": "http://127.0.0.1:9", "region": "eu", "access_key_id": "a",
        "secret_access_key": Secret("env:STORE_KEY"),
    }  # fmt: skip
    with pytest.raises(OutputError, match=r"s3://drops/day=2026-06-15/part.bin is not published") as error:
        publish(StandIn(tmp_path), b"x", **options)
    assert "verysecretkey" not in str(error.value)


def test_s0_15_an_object_is_never_torn_by_kill_9(object_server: ObjectServer) -> None:
    target = object_server.root / "drops/big.bin"
    found = killed("object", "s3://drops/big.bin", 8, shown=str(target), **object_server.options)
    assert found["torn"] == []
    assert found["left"] == []
