from bide.runtime.engine.states import AttemptState
from bide.runtime.graph.spec import Lane
from bide.runtime.executor.context import Context, current


async def test_async(desk):
    async def f(x):
        current().log.info("loading", rows=3, what="a b")
        return {"x": x}
    e = await desk.run(f, 4)
    assert (e.state, e.output) == (AttemptState.SUCCESS, b'{"x":4}')
    assert desk.logs.read(1).endswith("INFO loading rows=3 what='a b'\n")


async def test_thread(desk):
    def f(ctx: Context):
        return current().once("a", lambda: 5)
    e = await desk.run(f, lane=Lane.THREAD, takes_context=True)
    assert (e.state, e.output) == (AttemptState.SUCCESS, b"5")


async def test_fail(desk):
    async def f():
        raise KeyError("x")
    e = await desk.run(f)
    assert e.failure.mro[0] == "builtins.KeyError"
    print(desk.logs.read(1))


def _iso(ctx: Context, n):
    print("hello from", n)
    ctx.log.info("x", n=n)
    return {"n": ctx.once("a", lambda: n + 1), "id": ctx.run_id}


async def test_process(desk):
    e = await desk.run(_iso, lane=Lane.PROCESS, kwargs={"n": 4}, takes_context=True)
    print(e, desk.logs.read(1))
    assert (e.state, e.output) == (AttemptState.SUCCESS, b'{"n":5,"id":"3"}')


async def test_shell(desk):
    from bide.runtime.graph.binding import Command
    import time
    t = time.perf_counter()
    e = await desk.run(None, lane=Lane.SHELL, shell=Command("echo a; echo err >&2; echo b $X", {"X": "y"}, "/"))
    print(time.perf_counter() - t, e, desk.logs.read(1))
    assert e.output == b'"b y"'
    e = await desk.run(None, lane=Lane.SHELL, shell=Command("echo a; sleep 100 & echo err >&2; exit 3", {"X": "y"}, "/"))
    print(time.perf_counter() - t, e, desk.logs.read(2))
