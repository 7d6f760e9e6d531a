"""
Text that a terminal shows and never obeys, whoever wrote it: servers and files name things.
"""

from __future__ import annotations

import re

# Line breaks, tabs and our own colours (ECMA-48, SGR); of the rest only what is printable.
_OURS = re.compile(r"\x1b\[[0-9;]{0,16}m|[\n\t]")
# What JSON lets through as it is: C1, directions and joiners that show another text than is there.
_HIDDEN = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)


def harmless(text: str) -> str:
    """Replace every character that commands a terminal or hides what is written."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    shown, position = [], 0
    for match in _OURS.finditer(text):
        shown += [_plain(text[position : match.start()]), match[0]]
        position = match.end()
    return "".join((*shown, _plain(text[position:])))


def harmless_json(text: str) -> str:
    """Write such characters as JSON's own escapes, so that the document stays the same."""
    if text.isascii():
        return text.replace("\x7f", "\\u007f")
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _plain(text: str) -> str:
    return (
        text if text.isprintable() else "".join(one if one.isprintable() else "?" for one in text)
    )
