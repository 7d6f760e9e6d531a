"""What a message shows of a file: never the value of a field that is secret by its name."""

from __future__ import annotations

import pytest

from shplan.core.diagnostic import Diagnostic, Severity, SourceSpan
from shplan.views.snippet import render
from tests.support.bounded import bounded

WORD = "canary-of-a-message"


def told(text: str, line: int) -> str:
    span = SourceSpan("a.yaml", line, 1, 2)
    found = Diagnostic("manifest/x", Severity.ERROR, "Wrong", "it is wrong.", span=span)
    return render(found, {"a.yaml": text})


@pytest.mark.parametrize(
    "text",
    [
        f"secretAccessKey: {WORD}\nwrong: 1",
        f"secretAccessKey:\n  {WORD}\nwrong: 1",
        f"accessKey: >-\n  {WORD}\nwrong: 1",
        f"credentials: {WORD}\nwrong: 1",
        f'"credentials":\n  "{WORD}",\nwrong: 1',
        f"a: {{accessKey: \"{{{{ secret('env:A') }}}}\", secretAccessKey: {WORD}}}\nwrong: 1",
        f"client_secret = {WORD}\nwrong: 1",
    ],
)
def test_the_value_of_a_secret_field_is_not_shown(text: str) -> None:
    lines = text.count("\n") + 1
    for line in range(1, lines + 1):
        assert WORD not in told(text, line)
    assert "wrong: 1" in told(text, lines)


def test_what_only_refers_to_a_secret_is_shown() -> None:
    text = "accessKey: \"{{ secret('env:A') }}\"\ntokenUrl: https://x\nwrong: 1"
    assert "secret('env:A')" in told(text, 2)
    assert "https://x" in told(text, 3)


@pytest.mark.parametrize(
    "line",
    [
        "secret" * 100_000,
        "secret:" + " " * 600_000 + "x",
        "secret:{{" * 60_000,
        "secret : " * 60_000,
    ],
)
def test_a_long_line_takes_no_long_time(line: str) -> None:
    with bounded():
        told(f"{line}\nwrong: 1", 2)
