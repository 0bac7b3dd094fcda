"""What people type: examples for the `--help` of every command, shown below its options. Each is parsed by a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cyclopts import App

EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    # make and run
    "init": ("bide init", "bide init jobs --example"),
    "dev": ("bide dev", "bide dev dags/orders.py"),
    "run": ("bide run dags/orders.py", "bide run dags/orders.py:daily --date 2026-06-15 --param full=true"),
    "serve": ("bide serve dags/", "bide serve dags/ --db /var/lib/bide/bide.db --slots 32"),
    "check": ("bide check", "bide check dags/ --json"),
    "simulate": ("bide simulate dags/ --from 2026-06-01 --to 2026-07-01 --seed 7",),
    "schedule": ("bide schedule daily", "bide schedule dags/orders.py:daily -n 10 --from 2026-10-24"),
    "completion": ("bide completion bash",),
    "version": ("bide version",),
    # look
    "dags": ("bide dags", "bide dags daily"),
    "dags show": ("bide dags show daily",),
    "dags code": ("bide dags code daily", "bide dags code daily --list", "bide dags code daily --diff 3 4"),
    "dags versions": ("bide dags versions daily",),
    "dags firings": ("bide dags firings daily", "bide dags firings daily --from 2026-06-01 --to 2026-07-01"),
    "dags grid": ("bide dags grid daily", "bide dags grid daily -n 20"),
    "tasks": ("bide tasks", "bide tasks --state failed,lost --dag 'orders_*'"),
    "runs": ("bide runs", "bide runs daily --state failed --limit 10 --json"),
    "show": ("bide show 12", "bide show 12 --chain"),
    "why": ("bide why 12", "bide why 12/load", "bide why daily"),
    "logs": ("bide logs 12/load", "bide logs 12 load -f", "bide logs 12/load --attempt 1"),
    "events": ("bide events -f", "bide events --dag daily --json"),
    "top": ("bide top", "bide top --once"),
    "stats": ("bide stats", "bide stats 12", "bide stats daily"),
    "config": ("bide config show",),
    "config show": ("bide config show --origin", "bide config show --json"),
    "doctor": ("bide doctor", "bide doctor --json"),
    # act
    "trigger": ("bide trigger daily", "bide trigger daily --date 2026-06-15 --idempotency-key order-7"),
    "cancel": ("bide cancel 12", "bide cancel --where state=running,dag=daily --dry-run"),
    "action": ("bide action 3",),
    "rerun": (
        "bide rerun 12",
        "bide rerun 12/load --downstream",
        "bide rerun 12 --run",
        "bide rerun --where state=failed,dag=daily",
    ),
    "mark": (
        "bide mark 12/load success",
        "bide mark 12 load failed --downstream",
        "bide mark load success --where dag=daily,state=failed --dry-run",
    ),
    "skip": ("bide skip 12/load",),
    "pause": ("bide pause daily", "bide pause 'daily_*'"),
    "unpause": ("bide unpause daily",),
    # waits
    "waits": ("bide waits", "bide waits --json"),
    "pools": ("bide pools", "bide pools warehouse"),
    "waits list": ("bide waits list",),
    "waits groups": ("bide waits groups", "bide waits groups --by dag"),
    "waits look": ("bide waits look 7",),
    "waits extend": ("bide waits extend 7 +2h", "bide waits extend 7 2026-06-16T09:00Z"),
    "waits satisfy": ("bide waits satisfy 7",),
    "waits fail": ('bide waits fail 7 --reason "it will not come"',),
    # backfills
    "backfill": ("bide backfill list",),
    "backfill plan": ("bide backfill plan daily --from 2026-06-01 --to 2026-07-01",),
    "backfill start": ("bide backfill start daily --from 2026-06-01 --to 2026-07-01 --max-active 4",),
    "backfill list": ("bide backfill list",),
    "backfill status": ("bide backfill status 3",),
    "backfill why": ("bide backfill why 3",),
    "backfill pause": ("bide backfill pause 3",),
    "backfill resume": ("bide backfill resume 3",),
    "backfill cancel": ("bide backfill cancel 3",),
    # assets
    "assets": ("bide assets", "bide assets list --json"),
    "assets standing": ("bide assets standing", "bide assets standing orders"),
    "assets list": ("bide assets list",),
    "assets show": ("bide assets show gold.sales",),
    "assets use": ("bide assets use gold.sales --interval 2026-06-15 --for report",),
    "assets decisions": ("bide assets decisions gold.sales",),
    "assets publish": ('bide assets publish 7 --by ada --why "counted by hand"',),
    "assets degrade": ('bide assets degrade 7 --limitation "north is missing" --by ada --why "due at noon"',),
    "assets graph": ("bide assets graph",),
    "assets contracts": ("bide assets contracts", "bide assets contracts gold.sales"),
    "assets promises": ("bide assets promises",),
    "assets checklist": ("bide assets checklist gold.sales",),
    "assets lineage": ("bide assets lineage 7",),
    "assets blast": ("bide assets blast silver.orders --interval 2026-06-15",),
    "assets invalidate": (
        'bide assets invalidate silver.orders --interval 2026-06-15 --reason "the file came twice" --by ada',
    ),
    "assets invalidations": ("bide assets invalidations",),
    "assets plan": ("bide assets plan 3", "bide assets plan 3 -o plan.json"),
    "assets plans": ("bide assets plans",),
    "assets run-plan": (
        "bide assets run-plan plan.json --approve --by ada --why seen",
        "bide assets run-plan 2 5f3c8a",
    ),
    "assets cancel-plan": ("bide assets cancel-plan 2",),
    "assets events": ("bide assets events list report",),
    "assets events list": ("bide assets events list report --all",),
    "assets events drop": ('bide assets events drop report --until 2026-06-16 --reason "read by hand"',),
    "assets events replay": ("bide assets events replay report --from 2026-06-15",),
    # people
    "alerts": ("bide alerts",),
    "alerts list": ("bide alerts list --state new",),
    "alerts ack": ("bide alerts ack 41",),
    "approvals": ("bide approvals",),
    "approvals list": ("bide approvals list",),
    "approvals show": ("bide approvals show 4",),
    "approvals approve": ('bide approvals approve 4 --by ada --why "the figures are right"',),
    "approvals reject": ('bide approvals reject 4 --by ada --why "the north is missing"',),
    "incident": ("bide incident",),
    "incident list": ("bide incident list --state open",),
    "incident open": ('bide incident open "wrong figures" --invalidation 3 --by ada',),
    "incident show": ("bide incident show 1",),
    "incident note": ('bide incident note 1 notify "called the desk" --by ada',),
    "incident plan": ("bide incident plan 1",),
    "incident close": ('bide incident close 1 --by ada --text "all well again"',),
    "incident export": ("bide incident export 1 -o incident-1.zip",),
    "incident replay": ("bide incident replay incident-1.zip",),
    "effects": ("bide effects",),
    "effects list": ("bide effects list",),
    "effects show": ("bide effects show 5",),
    "hooks": ("bide hooks",),
    "hooks list": ("bide hooks list",),
    "hooks deliveries": ("bide hooks deliveries github --outcome refused",),
    "notify": ("bide notify routes", "bide notify test ops"),
    "notify routes": ("bide notify routes",),
    "notify list": ("bide notify list", "bide notify list --state failed"),
    "notify test": ("bide notify test pager",),
    "notify secret": ("bide notify secret",),
    "notify retry": ("bide notify retry 9", "bide notify retry --route ops"),
    # keep
    "db": ("bide db check",),
    "db backup": ("bide db backup /var/backups/bide/", "bide db backup before-upgrade.db"),
    "db restore": ("bide db restore backups/bide-20260615T020000.000Z.db",),
    "db check": ("bide db check", "bide db check --full --db backup.db"),
    "db prune": ("bide db prune --dry-run", "bide db prune --keep 30d --last 20"),
    "token": ("bide token list",),
    "token create": ("bide token create ci --scope run --expires 30d",),
    "token list": ("bide token list",),
    "token revoke": ("bide token revoke ci",),
    "ui": ("bide ui", "bide ui /waits", "bide ui /runs/17 --scope read --no-open"),
    "audit": ("bide audit", "bide audit --verb cancel --json"),
    "systemd": ("bide systemd print",),
    "systemd print": ("bide systemd print", "bide systemd print --user"),
    "systemd install": ("bide systemd install --user",),
}
"""By command: whole command lines."""

CHAPTERS: Final[dict[str, str]] = {
    "Write and run": "init dev run serve check simulate schedule",
    "Look": "ui dags runs tasks show why logs events top stats waits pools doctor",
    "Act": "trigger cancel rerun mark skip pause unpause action backfill",
    "What is safe to use": "assets effects incident approvals alerts",
    "The outside": "hooks notify token audit",
    "Keep": "db config systemd completion version",
}
"""The commands of the first level, as `bide --help` orders them."""


def add_to(app: App) -> None:
    """Orders the help of `app`, and puts examples below that of each command; of those that have none, nothing."""
    from cyclopts import Group

    for title, names in CHAPTERS.items():
        chapter = Group.create_ordered(title)
        for name in names.split():
            if name in app:
                app[name].group = (chapter,)
    options = Group.create_ordered("Options")
    for name in ("--help", "--version"):
        if name in app:
            app[name].group = (options,)
    codes = app.help_epilogue
    for path, lines in EXAMPLES.items():
        command: App | None = app
        for name in path.split():
            command = command[name] if command is not None and name in command else None
        if command is not None:
            shown = "\n".join(f"  {line}" for line in lines)
            command.help = flowing(command.help)
            command.help_epilogue = f"Examples:\n\n{shown}\n\n{codes}"


def flowing(text: str) -> str:
    r"""A docstring's paragraphs, each one line: the help is folded where the terminal ends, and nowhere else.

    >>> flowing("One line\nand its rest.\n\n    Another.")
    'One line and its rest.\n\nAnother.'
    """
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))
