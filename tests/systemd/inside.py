"""The scenarios, within the machine: each installs what it needs, does it to a real unit, and looks.

Run as `python -m tests.systemd.inside OUT`; writes OUT/results.json: name -> "" or what was wrong.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from bide.runtime.cli.main import run as bide_run
from tests.systemd import chaos

ROOT: Final = Path(__file__).parents[2]
HERE: Final = Path("/srv/bide")
DB: Final = Path("/var/lib/bide/bide.db")
_since = 0.0
SCENARIOS: list[Callable[[], None]] = []
DAGS: Final = '''
import asyncio
import os
import time
from datetime import timedelta
from pathlib import Path

from bide import Context, Secret, dag, shell, task
from bide.triggers import TimeTrigger

@task
async def parked(ctx: Context) -> None:
    await ctx.wait(TimeTrigger(at_us=4_000_000_000_000_000), timeout=timedelta(days=365))

@task
async def short() -> None:
    await asyncio.sleep(1.5)

@task
async def long() -> None:
    await asyncio.sleep(3600)

@task
async def blocks() -> None:
    if not Path(os.environ["STATE_DIRECTORY"], "blocked").exists():
        Path(os.environ["STATE_DIRECTORY"], "blocked").touch()
        time.sleep(3600)

@task
async def hangs() -> None:
    """The thread that commits hangs, as on a disk that does not answer; the loop turns on."""
    from bide.runtime.store.writer import hop
    if not Path(os.environ["STATE_DIRECTORY"], "hung").exists():
        Path(os.environ["STATE_DIRECTORY"], "hung").touch()
        (engine,) = [each for each in asyncio.all_tasks() if each.get_name() == "bide:engine"]
        writer = engine.get_coro().cr_frame.f_locals["self"].store
        asyncio.ensure_future(hop(writer._connection, lambda: time.sleep(3600)))

@task
def looks() -> dict:
    def tried(path):
        try:
            Path(path).write_text("x")
            return "written"
        except OSError as error:
            return error.strerror
    return {
        "uid": os.getuid(),
        "home": sorted(os.listdir("/home")) + sorted(os.listdir("/root")),
        "etc": tried("/etc/bide-was-here"),
        "srv": tried("/srv/bide/was-here"),
        "state": tried(os.environ["STATE_DIRECTORY"] + "/was-here"),
        "secret": len(Secret("credential:token").resolve()),
        "runtime": os.environ["RUNTIME_DIRECTORY"],
    }

@task
def fails() -> None:
    raise RuntimeError("the source is empty")

@dag
def waits():
    parked()

@dag
def brief():
    short()

@dag
def lengthy():
    long()

@dag
def blocking():
    blocks()

@dag
def hanging():
    hangs()

@dag
def looking():
    looks()

@dag
def failing():
    fails()
'''


def scenario(play: Callable[[], None]) -> Callable[[], None]:
    SCENARIOS.append(play)
    return play


def bide(*words: str) -> str:
    """A command of the terminal, in this process; what it printed. It must end well."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = bide_run([*words])
    assert code == 0, f"bide {' '.join(words)}: exit {code}: {err.getvalue()}"
    return out.getvalue()


def ask(*words: str) -> Any:
    return json.loads(bide(*words, "--db", str(DB), "--json"))


def tried(*words: str) -> Any:
    """What a command said; None when it was not answered, or not whole."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()) as err:
        code = bide_run([*words, "--db", str(DB), "--json"])
    assert code in (0, 4, 5), f"bide {' '.join(words)}: exit {code}: {err.getvalue()}"
    return json.loads(out.getvalue()) if code == 0 else None


def ctl(*words: str, ok: bool = True) -> str:
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, timeout=60, check=False)
    assert not ok or done.returncode == 0, f"systemctl {' '.join(words)}: {done.stderr}{journal()}"
    return done.stdout.strip()


def shown(what: str, unit: str = "bide") -> str:
    return ctl("show", unit, "-p", what, "--value")


def journal(*words: str) -> str:
    done = subprocess.run(
        ["journalctl", "-u", "bide", "--since", f"@{_since:.6f}", "--no-pager", "-o", "cat", *words],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout


def until(true: Callable[[], object], what: str, limit_s: float = 20) -> float:
    """Seconds until it is so."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < limit_s, f"not within {limit_s} s: {what}\n{journal('-n', '40')}"
        time.sleep(0.1)
    return time.monotonic() - began


def fresh(*words: str, drop_in: str = "", dags: str = "dags") -> None:
    """The unit as `bide systemd install` writes it, on a new database, started."""
    global _since
    ctl("stop", "--no-block", "bide", ok=False)
    ctl("kill", "-s", "KILL", "--kill-who=main", "bide", ok=False)
    ctl("stop", "bide", ok=False)
    ctl("reset-failed", "bide", ok=False)
    _since = time.time()
    shutil.rmtree("/var/lib/private/bide", ignore_errors=True)
    os.chdir(HERE)
    bide("systemd", "install", dags, *words)
    adds = Path("/etc/systemd/system/bide.service.d")
    adds.mkdir(exist_ok=True)
    (adds / "test.conf").write_text(f"[Service]\nEnvironment=PYTHONPATH={ROOT}\n{drop_in}\n")
    ctl("daemon-reload")
    ctl("start", "bide")


def ends(run: str) -> str:
    until(lambda: ask("show", run)["state"] in ("success", "failed"), f"run {run} is over")
    return str(ask("show", run)["state"])


@scenario
def started_is_ready() -> None:
    """`systemctl start` returns when recovery is done: at once the terminal is answered, the status is live."""
    fresh()
    assert shown("ActiveState") == "active"
    assert shown("StatusText").startswith("serving: 7 DAGs, 0 runs"), shown("StatusText")
    assert ask("trigger", "waits")["run_id"] == "1"
    until(lambda: "1 wait" in shown("StatusText"), "the status counts the wait")
    ctl("restart", "bide")
    assert "1 run, 0 of 64 slots, 1 wait" in shown("StatusText"), shown("StatusText")


@scenario
def killed_is_restarted() -> None:
    """kill -9: systemd starts it again, its waits stand with their deadlines."""
    (before,) = ask("waits")
    ctl("kill", "-s", "KILL", "--kill-who=main", "bide")
    until(lambda: shown("NRestarts") == "1" and shown("ActiveState") == "active", "restarted")
    (after,) = ask("waits")
    assert (after["id"], after["deadline"]) == (before["id"], before["deadline"])


@scenario
def stop_drains() -> None:
    """A stop lets what runs end, starts nothing new, and ends well."""
    fresh()
    run = ask("trigger", "brief")["run_id"]
    until(lambda: "1 of 64" in shown("StatusText"), "it runs")
    ctl("stop", "bide")
    assert shown("Result") == "success"
    assert shown("ExecMainStatus") == "0"
    assert ask("show", run)["state"] == "success"


@scenario
def drain_has_a_limit_and_a_second_signal_is_now() -> None:
    fresh("--drain", "1s")
    run = ask("trigger", "lengthy")["run_id"]
    until(lambda: "1 of 64" in shown("StatusText"), "it runs")
    began = time.monotonic()
    ctl("stop", "bide")
    assert time.monotonic() - began < 9
    assert (shown("Result"), shown("ExecMainStatus")) == ("success", "0")
    fresh("--drain", "1h")
    ask("trigger", "lengthy")
    until(lambda: "1 of 64" in shown("StatusText"), "it runs")
    assert shown("TimeoutStopUSec") == "1h 30s"
    ctl("stop", "--no-block", "bide")
    until(lambda: shown("StatusText").startswith("draining"), "it drains")
    ctl("kill", "-s", "TERM", "--kill-who=main", "bide")
    took = until(lambda: shown("ActiveState") == "inactive", "it ends at once", 9)
    assert took < 9
    assert shown("ExecMainStatus") == "0"
    ctl("start", "bide")
    assert ask("show", run)["tasks"][0]["state"] in ("running", "ready")  # taken up again


@scenario
def reload_reads_the_dags_again() -> None:
    fresh()
    two = HERE / "dags" / "two.py"
    try:
        two.write_text("from bide import dag, task\n@task\ndef a(): ...\n@dag\ndef two():\n    a()\n")
        pid = shown("MainPID")
        ctl("reload", "bide")
        until(lambda: shown("StatusText").startswith("serving: 8 DAGs"), "it is read")
        assert (shown("ActiveState"), shown("MainPID")) == ("active", pid)
        two.write_text("def broken(:\n")
        ctl("reload", "bide")
        until(lambda: "1 broken file" in journal(), "it says what is broken")
        until(lambda: shown("ActiveState") == "active", "the reload is over")
        assert "two" in [each["dag"] for each in ask("dags")]
    finally:
        two.unlink()


@scenario
def blocked_loop_is_ended_and_named() -> None:
    """A task that blocks the loop: no sign of life, SIGABRT with every stack, and it goes on."""
    fresh(drop_in="WatchdogSec=2")
    ask("trigger", "blocking")
    until(lambda: shown("NRestarts") == "1" and shown("ActiveState") == "active", "it was ended", 30)
    said = journal()
    assert "Watchdog timeout" in said
    assert "Fatal Python error: Aborted" in said
    assert "in blocks" in said  # the function that blocked


@scenario
def hung_commit_is_ended() -> None:
    """The loop turns and nothing commits: that is no life either."""
    fresh(drop_in="WatchdogSec=2")
    with contextlib.suppress(Exception):
        ask("trigger", "hanging")
    until(lambda: shown("NRestarts") == "1" and shown("ActiveState") == "active", "it was ended", 30)
    said = journal()
    assert "no sign of life is given to systemd: no commit has come to its end" in said
    assert "Watchdog timeout" in said
    assert ends("1") == "success"  # the one that was under way, after the restart


@scenario
def lost_store_fails_and_wrong_use_is_not_repeated() -> None:
    """A database that is gone ends the process with 1, and systemd tries again; a wrong option is not tried again."""
    fresh()
    real = DB.resolve()
    copy = real.with_name("copy")
    copy.write_bytes(real.read_bytes())
    copy.chmod(0o600)
    shutil.chown(copy, real.stat().st_uid, real.stat().st_gid)
    copy.replace(real)  # another file under the same name
    until(lambda: "was replaced or removed while it was open" in journal(), "it notices", 10)
    until(lambda: shown("NRestarts") == "1" and shown("ActiveState") == "active", "restarted")
    assert "status=1/FAILURE" in journal()
    adds = Path("/etc/systemd/system/bide.service.d/test.conf")
    adds.write_text(adds.read_text() + "Environment=BIDE_SLOTS=many\n")
    ctl("daemon-reload")
    ctl("restart", "bide", ok=False)
    until(lambda: shown("ActiveState") == "failed", "it is not tried again")
    assert shown("ExecMainStatus") == "2"
    assert shown("NRestarts") == "0"
    adds.write_text(
        adds.read_text()
        + "Environment=BIDE_SLOTS=4\nRestartPreventExitStatus=\nExecStart=\nExecStart=/bin/false\n"
    )
    ctl("daemon-reload")
    ctl("reset-failed", "bide")
    ctl("start", "bide", ok=False)
    until(
        lambda: shown("Result") == "start-limit-hit" or shown("NRestarts") == "9", "the limit of restarts", 20
    )


@scenario
def locked_in_and_alone() -> None:
    """What a task sees within the sandbox; the score online; a second service on the database is refused."""
    Path("/etc/token").write_text("s3cret-s3cret")
    Path("/etc/token").chmod(0o600)
    Path("/home/somebody").mkdir(exist_ok=True)
    fresh("--credential", "token:/etc/token")
    run = ask("trigger", "looking")["run_id"]
    assert ends(run) == "success", bide("logs", f"{run}/looks", "--db", str(DB))
    pid = shown("MainPID")
    out = _output(run, "looks")
    assert out["uid"] >= 61184, out  # a user of its own
    assert "somebody" not in out["home"], out
    assert out["etc"] == out["srv"] == "Read-only file system", out
    assert out["state"] == "written", out
    assert out["secret"] == len("s3cret-s3cret"), out
    assert out["runtime"] == "/run/bide", out
    assert "s3cret" not in DB.resolve().read_bytes().decode("latin-1")
    score = subprocess.run(
        ["systemd-analyze", "security", "--threshold=14", "bide"], capture_output=True, text=True, check=False
    )
    assert score.returncode == 0, score.stdout[-300:]
    uid = str(DB.resolve().stat().st_uid)
    second = subprocess.run(
        ["nsenter", "-t", pid, "-m", "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
         "env", "-C", str(HERE), sys.executable, "-m", "bide", "serve", "dags", "--db", str(DB)],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert second.returncode == 4, second.stderr
    assert f"in use by the runtime of process {pid}" in second.stderr, second.stderr
    assert shown("MainPID") == pid
    failed = ask("trigger", "failing")["run_id"]
    assert ends(failed) == "failed"
    until(lambda: journal(f"BIDE_RUN={failed}", "-p", "err"), "the journal has it")
    records = [
        json.loads(line) for line in journal(f"BIDE_RUN={failed}", "-p", "err", "-o", "json").splitlines()
    ]
    (record,) = [each for each in records if each.get("BIDE_TASK") == "fails"]
    assert record["BIDE_DAG"] == "failing", record
    assert record["PRIORITY"] == "3", record
    assert record["MESSAGE"].startswith(f"fails of run {failed} of failing: failed: "), record
    assert record["MESSAGE"].endswith("the source is empty"), record


@scenario
def a_socket_of_systemd_starts_it() -> None:
    """The first connection starts the service, waits while it recovers, and is answered."""
    ctl("stop", "bide", ok=False)
    Path("/etc/systemd/system/bide.socket").write_text(
        "[Socket]\nListenStream=/run/bide-api.sock\nSocketMode=0600\n"
    )
    ctl("daemon-reload")
    ctl("start", "bide.socket")
    assert shown("ActiveState") == "inactive"
    for path in ("/run/bide-api.sock", "/run/bide/bide.sock"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as at:
            at.settimeout(30)
            at.connect(path)
            at.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = at.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200"), answer
    assert shown("ActiveState") == "active"
    ctl("stop", "bide.socket", "bide")


def _output(run: str, task: str) -> dict[str, Any]:
    import sqlite3

    with contextlib.closing(sqlite3.connect(f"file:{DB.resolve()}?mode=ro", uri=True)) as conn:
        (text,) = conn.execute(
            "SELECT o.value FROM output o JOIN task_instance i USING (instance_id) WHERE i.task = ? AND i.run_id = ?",
            (task, int(run)),
        ).fetchone()
    return dict(json.loads(text))


@scenario
def a_person_has_one_of_their_own() -> None:
    """`--user`, without root: installed, started, killed, restarted, by a person's own service manager."""
    ctl("stop", "bide", ok=False)
    subprocess.run(["useradd", "-m", "-u", "4711", "ada"], check=True, capture_output=True)
    home = Path("/home/ada")
    shutil.copytree(HERE / "dags", home / "dags")
    subprocess.run(["chown", "-R", "ada:", str(home)], check=True)
    ctl("start", "user@4711")

    def as_ada(*words: str) -> str:
        done = subprocess.run(
            ["setpriv", "--reuid=4711", "--regid=4711", "--init-groups", "--reset-env", "env",
             "XDG_RUNTIME_DIR=/run/user/4711", f"PYTHONPATH={ROOT}", *words],
            cwd=home, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    said = as_ada(*PYTHON, "-m", "bide", "systemd", "install", "--user", "dags")
    assert "systemctl --user enable --now bide" in said
    adds = home / ".config/systemd/user/bide.service.d"
    as_ada("mkdir", "-p", str(adds))
    (adds / "test.conf").write_text(f"[Service]\nEnvironment=PYTHONPATH={ROOT}\n")
    as_ada("systemctl", "--user", "daemon-reload")
    as_ada("systemctl", "--user", "enable", "--now", "bide")
    assert as_ada("systemctl", "--user", "is-active", "bide") == "active"
    assert as_ada(*PYTHON, "-m", "bide", "trigger", "brief") == "run 1"  # the project's own database
    as_ada("systemctl", "--user", "kill", "-s", "KILL", "bide")
    until(
        lambda: (
            as_ada("systemctl", "--user", "show", "bide", "-p", "NRestarts", "--value") == "1"
            and as_ada("systemctl", "--user", "show", "bide", "-p", "ActiveState", "--value") == "active"
        ),
        "restarted",
    )
    as_ada("systemctl", "--user", "stop", "bide")


def _restarted(times: int) -> bool:
    return shown("NRestarts") == str(times) and shown("ActiveState") == "active"


@scenario
def killed_again_and_again() -> None:
    fresh(dags="chaos", drop_in="RestartSec=50ms\n[Unit]\nStartLimitIntervalSec=0")
    dice, client = random.Random(chaos.SEED), chaos.Client(tried)
    for number in range(chaos.HELD):
        client.trigger("held", f"held-{number}")
    held = chaos.HELD * 50
    until(lambda: f"{held:,} waits" in shown("StatusText"), "all are held", 120)
    before = {each["id"]: each["deadline"] for each in ask("waits")}
    for kill in range(chaos.KILLS):
        stands_s = dice.uniform(0.1, 1.0) if dice.random() < 0.25 else 0.0
        chaos_now = chaos.stops_then_kills(ctl, dice.uniform(*chaos.APART_S), stands_s)
        client.works(chaos_now, kill, dice)
        until(partial(_restarted, kill + 1), f"restarted after kill {kill + 1}", 60)
    for key in client.asked:
        client.trigger(key.partition("-")[0], key)
    assert sorted(client.told) == sorted(client.asked)
    for run in client.told.values():
        (chaos.STATE / f"drop-{run}").write_text("x")
    until(lambda: not ask("runs", "work", "--state", "running"), "all has come to its end", 60)
    after = {each["id"]: each["deadline"] for each in ask("waits")}
    assert {each: after.get(each) for each in before} == before
    ctl("stop", "bide")
    assert shown("Result") == "success"
    print(f"  BIDE_SEED={chaos.SEED}: {chaos.judged(client)}", flush=True)


PYTHON: Final = [sys.executable]


def main(out: Path, *names: str) -> None:
    (HERE / "dags").mkdir(parents=True, exist_ok=True)
    (HERE / "dags" / "all.py").write_text(DAGS)
    (HERE / "chaos").mkdir(exist_ok=True)
    (HERE / "chaos" / "chaos.py").write_text(chaos.DAGS)
    results: dict[str, Any] = {}
    for play in [each for each in SCENARIOS if not names or each.__name__ in names]:
        began, wrong = time.monotonic(), ""
        try:
            play()
        except Exception:  # noqa: BLE001 - told to the test, which fails of it
            wrong = traceback.format_exc() + journal("-n", "60")
        took = time.monotonic() - began
        print(f"{play.__name__}: {took:.1f} s{': ' + wrong if wrong else ''}", flush=True)
        results[play.__name__] = {"wrong": wrong, "took_s": took}
        (out / "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
