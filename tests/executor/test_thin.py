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
