"""Secrets: a value that was resolved is masked in every form that it is written in."""

from __future__ import annotations

import base64
import json
import os
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.runtime.secret_names import is_secret
from bide.runtime.service.masking import masked
from bide.runtime.values import Redactor

SOAK = int(os.environ.get("BIDE_SOAK") or 1)
pytestmark = pytest.mark.soak
VALUE = 'cañary/6f+1d 8c=&"quoted"\\x'
PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END PRIVATE KEY-----"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


FORMS = {
    "plain": VALUE,
    "a url": f"https://h/?q={quote(VALUE, safe='')}",
    "a url, slashes kept": f"https://h/{quote(VALUE)}",
    "a form": urlencode({"password": VALUE}),
    "a form, lower case": quote_plus(VALUE).lower().replace("c3%b1", "c3%b1"),
    "base64": b64(VALUE),
    "base64 for urls": base64.urlsafe_b64encode(VALUE.encode()).decode(),
    "basic auth": "Basic " + b64(f"user:{VALUE}"),
    "basic auth, a longer name": "Basic " + b64(f"user1:{VALUE}"),
    "basic auth, a longer name still": "Basic " + b64(f"user12:{VALUE}"),
    "json": json.dumps({"a": VALUE}, ensure_ascii=False),
    "json, ascii": json.dumps({"a": VALUE}),
    "json in json": json.dumps(json.dumps({"a": VALUE}, ensure_ascii=False), ensure_ascii=False),
    "repr": repr({"a": VALUE}),
    "repr of bytes": repr(VALUE.encode()),
    "hex": VALUE.encode().hex(),
    "upper hex": VALUE.encode().hex().upper(),
    "html": VALUE.replace("&", "&amp;").replace('"', "&quot;"),
}


@pytest.mark.parametrize("form", FORMS)
def test_t17_a_secret_is_masked_as_it_is_written(form: str) -> None:
    redactor = Redactor()
    redactor.register(VALUE)
    shown = redactor(f"error: {FORMS[form]} was refused")
    assert "***" in shown, shown
    for part in ("6f+1d", "6f%2B1d", "6f%2b1d", b64("canary")[:8]):
        assert part not in shown, shown
    assert shown.startswith("error: ")
    assert shown.endswith(" was refused")


@pytest.mark.parametrize("line", PEM.split("\n")[1:3])
def test_t17_a_secret_of_several_lines_is_masked_line_by_line(line: str) -> None:
    redactor = Redactor()
    redactor.register(PEM)
    assert redactor(f"INFO {line}") == "INFO ***"
    assert redactor(PEM) == "***"
    assert "-----BEGIN" in redactor("-----BEGIN CERTIFICATE-----"), "what is no secret stays"


@pytest.mark.parametrize("value", ["", "a", "ab"])
def test_t17_what_is_too_short_to_be_a_secret_masks_nothing(value: str) -> None:
    redactor = Redactor()
    redactor.register(value)
    assert redactor("a word about abc") == "a word about abc"


@settings(max_examples=150 * SOAK, deadline=None)
@given(
    value=st.text(min_size=6, max_size=40), before=st.text(max_size=12), after=st.text(max_size=12),
    how=st.sampled_from([str, json.dumps, repr, quote, quote_plus, b64]),
)  # fmt: skip
def test_t14_no_secret_is_left_of_any_form(value: str, before: str, after: str, how: object) -> None:
    redactor = Redactor()
    try:
        redactor.register(value)
        whole = how(f"{before}{value}{after}")  # type: ignore[operator]
    except UnicodeEncodeError:
        return
    shown = redactor(whole)
    if value not in before and value not in after and value.strip("*"):
        assert value not in shown
        assert "***" in shown, (whole, shown)


AIRFLOWS = (
    "access_token", "api_key", "apikey", "authorization", "passphrase", "passwd", "password", "private_key", "secret",
    "token", "keyfile_dict", "service_account", "secret_key", "aws_secret_access_key", "client_secret", "auth_token",
    "bearer_token", "db_password", "connection_string", "credentials", "ssh_key", "sas_token", "cookie", "X-Api-Key",
    "refreshToken", "accountKey", "jwt", "session_id", "signing_key", "keyfile", "webhook_url",
)  # fmt: skip


@pytest.mark.parametrize("name", AIRFLOWS)
def test_t17_what_stands_under_a_secrets_name_is_masked(name: str) -> None:
    assert is_secret(name)
    assert json.loads(masked({"params": {"deep": [{name: "hunter2"}]}})) == {
        "params": {"deep": [{name: "***"}]}
    }


@pytest.mark.parametrize(
    "name", ["path", "model", "count", "author", "passed", "secretary_count_"[:0] + "keys", "day"]
)
def test_t17_what_stands_under_any_other_name_is_shown(name: str) -> None:
    assert json.loads(masked({"params": {name: "shown"}})) == {"params": {name: "shown"}}
