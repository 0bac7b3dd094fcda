"""Templates: what comes from outside fills a field, and is never code, a template or another word of a command."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide import Runtime, dag, shell
from bide.runtime.errors import UsageError
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.quoting import render_command
from bide.runtime.graph.render import render
from bide.triggers import decode_trigger, encode_trigger
from bide.triggers.http import HttpTrigger

SOAK = int(os.environ.get("BIDE_SOAK") or 1)
pytestmark = pytest.mark.soak


def facts(value: object) -> Facts:
    return Facts(
        dag="d", task="t", run_id=1, map_index=-1, attempt=1, logical_us=0, start_us=0, end_us=0, scheduled_us=0,
        tz="UTC", params={"v": value},
    )  # fmt: skip


def typed(command: str) -> str:
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, timeout=10, check=False, cwd="/")
    return done.stdout.decode("utf-8", "surrogateescape")


EVIL = (
    "$(id)", "`id`", "; id", "| id", "&& id", "& id", "\nid\n", "' ; id ; '", '" ; id ; "', "'; id #", "\\", "\\'; id",
    "$HOME", "${IFS}", "$((1+1))", "*", "?", "~", "~root", "a b", "", "-rf", "#x", "<(id)", "> /tmp/x", "{a,b}", "!!",
    "x'\"'\"'; id; '", "\\\n", "\t", "é\u202e", "{run_id}", "{params.v}", "{0.__class__}", "%s%n", "$'\\x27'",
)  # fmt: skip
PLACES = (
    "printf %s {params.v}", "printf %s '{params.v}'", 'printf %s "{params.v}"', "printf %s '{params[v]}'''",
    'printf %s ""{params.v}', "printf %s \\'{params.v}\\' | sed \"s/^'//; s/'$//\"", 'x={params.v}; printf %s "$x"',
    "true # '\nprintf %s {params.v}", "printf %s {params.v} # $HOME", "echo $HOME >/dev/null; printf %s {params.v}",
    "echo a#b >/dev/null; printf %s {params.v}",
)  # fmt: skip


@pytest.mark.parametrize("template", PLACES)
def test_t17_a_parameter_of_a_command_is_one_word_whatever_it_holds(template: str) -> None:
    for value in EVIL:
        try:
            command = render_command(template, facts(value))
        except UsageError:
            assert "#" in template.partition("{")[0], (
                "a comment before the field may hide it, and no other is refused"
            )
            continue
        if "sed" in template and "\n" in value:
            continue  # sed takes lines
        assert typed(command) == value, command


DEEP = (
    "echo $(cat {params.v})", "echo `cat {params.v}`", 'echo "$(cat {params.v})"', "cat <<END\n{params.v}\nEND",
    "echo ${{x:-{params.v}}}", "echo ${params.v}", "echo \\{params.v}",
    'echo "\\{params.v}"', 'echo "${params.v}"', "echo $'{params.v}'", "true # {params.v}",
)  # fmt: skip


@pytest.mark.parametrize("template", DEEP)
def test_t17_where_a_shell_runs_what_it_is_given_only_a_plain_word_is_let_in(template: str) -> None:
    assert "sales-2026/06.csv" in render_command(template, facts("sales-2026/06.csv"))
    for value in ("; id", "$(id)", "a b", "x\nid", "'", '"', "`id`"):
        with pytest.raises(UsageError, match="hand it over as env="):
            render_command(template, facts(value))


@settings(max_examples=150 * SOAK, deadline=None)
@given(
    value=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
    | st.text("'\"\\$`(){};&|#<> \n!*~a", max_size=12),
    before=st.text("'\"\\$`(){};&|#<> \nax", max_size=8),
)
def test_t14_no_text_around_a_parameter_makes_a_shell_run_it(value: str, before: str) -> None:
    """The canary is a command: whatever stands before the field, it is never carried out."""
    value = f"{value};printf canar''y;$(printf canar''y)`printf canar''y`\nprintf canar''y\n"
    template = before.replace("{", "{{").replace("}", "}}").replace(">", "") + "{params.v}"
    try:
        command = render_command(template, facts(value))
    except UsageError:
        return
    assert "canary" not in typed(f"PATH=/nowhere; {command}")


def test_t17_a_zero_byte_is_refused() -> None:
    with pytest.raises(UsageError, match="zero byte"):
        render_command("echo {params.v}", facts("a\0b"))


async def test_t17_a_branch_that_a_stranger_names_is_no_command(tmp_path: Path) -> None:
    hacked = tmp_path / "hacked"

    @dag(params={"branch": "main"})
    def build() -> None:
        shell("build", "test {params.branch} = 'x; touch hacked'", cwd=tmp_path)

    @dag(params={"branch": "main"})
    def nested() -> None:
        shell("build", "test $(echo {params.branch})", cwd=tmp_path)

    async with Runtime(tmp_path / "bide.db", dags=[build, nested]) as rt:
        evil = {"branch": "x; touch hacked"}
        assert (await (await rt.trigger("build", params=evil)).wait(20)).state == "success"
        run = await rt.trigger("nested", params=evil)
        assert (await run.wait(20)).state == "failed"
        why = await rt.operations.why(run.run_id)
        assert "hand it over as env=" in str(why)
        assert (await (await rt.trigger("nested", params={"branch": "main"})).wait(20)).state == "success"
    assert not hacked.exists()


@settings(max_examples=300 * SOAK, deadline=None)
@given(st.text(max_size=40) | st.text("{}[].:!_ adginprstuv0%Y()", max_size=24))
def test_t14_a_value_is_never_read_as_a_template(value: str) -> None:
    assert render("<{params.v}>", facts(value)) == f"<{value}>"
    assert render("{params.v}{{run_id}}", facts(value)) == f"{value}{{run_id}}"


@settings(max_examples=300 * SOAK, deadline=None)
@given(st.text(max_size=60) | st.text("{}[].:!_ adginprstuv0%Y()'\"$`\\", max_size=40))
def test_t14_any_template_is_filled_in_or_refused_in_words(template: str) -> None:
    for fill in (render, render_command):
        try:
            fill(template, facts("x"))
        except UsageError as error:
            assert str(error)  # noqa: PT017


# --- references: what only code may say ---------------------------------------------------------------

REFERENCES = (
    {"$secret": "env:CANARY"},
    [{"a": {"$secret": "env:CANARY"}}],
    {"x": {"$secret": "file:/etc/passwd"}},
)


@pytest.mark.parametrize("given_as", ["body", "headers"])
@pytest.mark.parametrize("value", REFERENCES, ids=str)
def test_t17_data_names_no_secret(monkeypatch: pytest.MonkeyPatch, value: object, given_as: str) -> None:
    monkeypatch.setenv("CANARY", "canary-value")
    options: dict[str, object] = {given_as: value if given_as == "body" else {"x": value}}
    with pytest.raises(UsageError, match=r"names no secret here.*Secret\("):
        HttpTrigger(url="http://h/", **options)  # type: ignore[arg-type]


def test_t17_a_secret_of_the_code_is_stored_by_name_and_read_again() -> None:
    from bide import Secret

    trigger = HttpTrigger(
        url="http://h/", headers={"x": Secret("env:CANARY")}, body={"a": ["$secret", {"$x": 1}]}
    )
    assert decode_trigger(encode_trigger(trigger)) == trigger
