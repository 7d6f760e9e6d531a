"""Nothing that a server or a file says is obeyed by a terminal."""

from __future__ import annotations

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from shplan.views.terminal import harmless, harmless_json

COMMANDS = "\x1b]0;t\x07 \x1b[2J \x9b31m \x1b[31;1mred\x1b[0m \r \u202e \u2028 \ufeff \x00 \x7f"
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text(st.sampled_from(COMMANDS))


def test_only_colours_line_breaks_and_tabs_are_left() -> None:
    shown = harmless(COMMANDS + "\n\tend é 漢 😀")
    assert "\x1b[31;1mred\x1b[0m" in shown
    assert shown.endswith("\n\tend é 漢 😀")
    rest = shown.replace("\x1b[31;1m", "").replace("\x1b[0m", "")
    assert {unicodedata.category(one) for one in rest if one not in "\n\t"} <= {
        "Ll", "Lu", "Lo", "Zs", "Ps", "Pe", "Po", "Nd", "So",
    }  # fmt: skip


@given(TEXTS)
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert harmless(harmless(text)) == harmless(text)
    if text.isprintable():
        assert harmless(text) == text


@given(TEXTS)
def test_a_document_stays_the_same(text: str) -> None:
    written = harmless_json(json.dumps({"a": text}, ensure_ascii=False))
    assert json.loads(written) == {"a": text}
    assert not {"\x7f", "\x9b", "\u202e", "\u2028", "\ufeff"} & set(written)
