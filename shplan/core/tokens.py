r"""
An evalscript as a stream of tokens: what of its text can matter, and nothing else.

Comments and white space are no tokens, but a mark stands wherever a line break stood between two
tokens: semicolons that JavaScript inserts depend on it. Two texts with the same tokens are read the
same by every engine; so where a slash could start a regular expression or divide, or where engines
differ, the rest of the text is one token, as it stands. The version line is a comment that counts.
Where in the file a token stands is no part of it: a script that reads its own text or stack differs.

Source: ECMA-262, chapter 12 (lexical grammar) and annex B.1.1 (comments as in HTML).
"""

from __future__ import annotations

import hashlib
import re
from enum import Enum
from functools import lru_cache
from typing import Final

LINE_BREAK: Final = "\n"

# Unicode's spaces, written out: Python's own \s has others, and tables of Unicode move.
_WIDE_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\ufeff"
_LINE_ENDS = "\n\u2028\u2029"
# Whatever is neither ASCII nor a space is taken for a letter: in a valid script it is one.
_LETTER = rf"[^\x00-#%-/:-@\[-^`{{-\x7f{_WIDE_SPACES}\u2028\u2029]"
_NAME = rf"(?:{_LETTER}++|\\u[0-9A-Fa-f]{{4}}|\\u\{{[0-9A-Fa-f]+\}})++"
_NUMBER = (
    r"(?:0[XxBbOo][0-9A-Fa-f_]++"
    r"|(?:[0-9][0-9_]*+(?:\.[0-9_]*+)?+|\.[0-9][0-9_]*+)(?:[Ee][+-]?+[0-9][0-9_]*+)?+)"
    # `3in x` is an error and `3 in x` is none: a number takes the letters that touch it along.
    rf"(?:{_NAME})?+"
)
_PUNCTUATOR = (
    r">>>=|\.\.\.|===|!==|>>>|<<=|>>=|\*\*=|&&=|\|\|=|\?\?=|=>|==|!=|<=|>=|&&|\|\||\?\?"
    r"|\?\.(?![0-9])|\+\+|--|\+=|-=|\*=|%=|&=|\|=|\^=|<<|>>|\*\*|[.;,<>+\-*%&|^!~?:=]"
)
# The first alternative that fits wins, as in the grammar.
_TOKEN = re.compile(
    rf"(?P<space>[\t\v\f {_WIDE_SPACES}]++)"
    rf"|(?P<lines>[{_LINE_ENDS}])"
    rf"|(?P<comment>//[^{_LINE_ENDS}]*+)"
    r"|(?P<block>/\*(?s:.*?)\*/)"
    r"|(?P<html><!--)"
    rf"|(?P<number>{_NUMBER})"
    rf"|(?P<name>\#?+{_NAME})"
    r"""|(?P<text>"(?:[^"\\\n]++|\\(?s:.))*+"|'(?:[^'\\\n]++|\\(?s:.))*+')"""
    r"|(?P<opening>[(\[{])"
    r"|(?P<closing>[)\]}])"
    r"|(?P<slash>/(?!\*))"
    rf"|(?P<punctuator>{_PUNCTUATOR})"
    r"|(?P<template>`)"
)
_REGEX = re.compile(
    rf"/(?:[^/\\\[{_LINE_ENDS}]|\\[^{_LINE_ENDS}]"
    rf"|\[(?:[^\]\\{_LINE_ENDS}]|\\[^{_LINE_ENDS}])*+\])++/(?:{_NAME})?+"
)
_DIVISION = re.compile(r"/=?+")
_TEMPLATE_PART = re.compile(r"(?s:[`}](?:[^`\\$]++|\\.|\$(?!\{))*+(?P<end>`|\$\{))")
_VERSION = re.compile(r"//\s*VERSION\s*=\s*[0-9]+(?![\w.])", re.IGNORECASE | re.ASCII)
_VERSION_LIKE = re.compile(r"//\s*VERSION\s*=.*", re.IGNORECASE | re.ASCII)

_TRAILING: Final = "\t\v\f \n\u2028\u2029"
_BEFORE_PARENTHESIS: Final = frozenset({"if", "while", "for", "with"})
_VALUES: Final = frozenset({"this", "super", "null", "true", "false"})
# Names to one dialect, operators to another: strict or sloppy, in a generator or not.
_EITHER: Final = frozenset({"yield", "await", "of"})
# fmt: off
_RESERVED: Final = frozenset({
    "break", "case", "catch", "class", "const", "continue", "debugger", "default", "delete", "do",
    "else", "enum", "export", "extends", "finally", "for", "function", "if", "import", "in",
    "instanceof", "new", "return", "switch", "throw", "try", "typeof", "var", "void", "while",
    "with",
})
# fmt: on
# After one of these, a name may end a statement that no division can follow: `var x`, `break x`.
_NO_OPERAND: Final = frozenset({"var", "const", "break", "continue", "import", "function", "class"})


class _Slash(Enum):
    """What a slash would be at this place."""

    DIVIDES = "divides"
    STARTS_REGEX = "starts a regular expression"
    # Divides on the same line; on the next, an inserted semicolon may come between.
    DIVIDES_ON_LINE = "divides on the same line"
    UNSURE = "unsure"


def tokens(script: str) -> tuple[str, ...]:
    """
    Take a script apart; never fails, and takes time linear in its length.

    Args:
        script: JavaScript; a byte order mark at its start is no part of it

    Returns:
        every token as it is written, `LINE_BREAK` between two that stood on different lines; first
        the version line, if there is one. What cannot be told apart for certain is one last token.
    """
    # The grammar itself reads these as one line feed, in templates too (ECMA-262, 12.9.6).
    text = script.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return _Reader(text).read()


@lru_cache(maxsize=256)
def token_digest(script: str) -> str:
    """Return `sha256:` and the hex digest of the tokens; a thousand jobs share one script."""
    hashed = hashlib.sha256()
    for token in tokens(script):
        encoded = token.encode("utf-8", "surrogatepass")
        hashed.update(b"%d:" % len(encoded))
        hashed.update(encoded)
    return "sha256:" + hashed.hexdigest()


class _Reader:
    """One pass over a text; `read` is called once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: list[str] = []
        self._position = 0
        self._on_new_line = False
        self._at_line_start = True
        self._after_comment = False
        self._slash = _Slash.STARTS_REGEX
        # What a slash is once the bracket is closed; None for `${` of a template.
        self._open: list[tuple[str, _Slash | None]] = []
        self._last = self._before_last = ""

    def read(self) -> tuple[str, ...]:
        while self._position < len(self._text):
            match = _TOKEN.match(self._text, self._position)
            if match is None:
                self._take_rest()
                break
            self._step(str(match.lastgroup), match[0])
        return tuple(self._found)

    def _step(self, group: str, written: str) -> None:
        if group in ("space", "lines", "comment", "block"):
            self._skip(group, written)
        elif group == "slash":
            self._read_slash()
        elif group == "template":
            self._read_template()
        elif group == "closing":
            self._close(written)
        elif group == "html" or (written == "--" and self._closes_html()):
            # To a script a comment, to a module an expression.
            self._take_rest()
        else:
            self._take(written, self._slash_after(group, written))

    def _skip(self, group: str, written: str) -> None:
        self._position += len(written)
        if group == "comment" and not self._found:
            self._read_version(written)
        if group == "lines" or (group == "block" and _has_line_end(written)):
            self._on_new_line = self._at_line_start = True
        self._after_comment |= group in ("comment", "block")

    def _read_version(self, comment: str) -> None:
        match = _VERSION.match(comment) or _VERSION_LIKE.match(comment)
        if match is None:
            return
        # Behind another comment the service may not see it: that is another script.
        self._on_new_line = False
        if self._after_comment:
            self._found.append(LINE_BREAK)
        self._found.append(" ".join(match[0].split()))

    def _take(self, written: str, slash: _Slash) -> None:
        if self._on_new_line and self._found:
            self._found.append(LINE_BREAK)
        self._found.append(written)
        self._before_last, self._last = self._last, written
        self._on_new_line = self._at_line_start = False
        self._slash = slash
        self._position += len(written)

    def _take_rest(self) -> None:
        rest = self._text[self._position :]
        self._take(rest, _Slash.UNSURE)
        self._position = len(self._text)
        self._found[-1] = rest.rstrip(_TRAILING)

    def _read_slash(self) -> None:
        pattern = {
            _Slash.DIVIDES: _DIVISION,
            _Slash.DIVIDES_ON_LINE: None if self._on_new_line else _DIVISION,
            _Slash.STARTS_REGEX: _REGEX,
            _Slash.UNSURE: None,
        }[self._slash]
        match = pattern.match(self._text, self._position) if pattern else None
        if match is None:
            self._take_rest()
        else:
            divides = pattern is _DIVISION
            self._take(match[0], _Slash.STARTS_REGEX if divides else _Slash.DIVIDES)

    def _read_template(self) -> None:
        """Read from a backquote, or from the brace that closes `${`, to the next of either."""
        match = _TEMPLATE_PART.match(self._text, self._position)
        if match is None:
            self._take_rest()
        elif match["end"] == "`":
            self._take(match[0], _Slash.DIVIDES)
        else:
            self._open.append(("{", None))
            self._take(match[0], _Slash.STARTS_REGEX)

    def _close(self, written: str) -> None:
        opening, slash = self._open.pop() if self._open else ("", _Slash.UNSURE)
        if opening + written not in ("()", "[]", "{}"):
            self._take_rest()
        elif slash is None:
            self._read_template()
        else:
            self._take(written, slash)

    def _slash_after(self, group: str, written: str) -> _Slash:
        if group == "opening":
            return self._after_opening(written)
        if group == "name":
            return self._after_name(written)
        if group == "punctuator":
            return self._after_punctuator(written)
        return self._after_operand()

    def _after_opening(self, written: str) -> _Slash:
        closed = _Slash.DIVIDES
        if written == "{":
            # A block or an object: only a parser knows.
            closed = _Slash.UNSURE
        elif written == "(" and self._is_head_of_statement():
            closed = _Slash.STARTS_REGEX
        self._open.append((written, closed))
        return _Slash.STARTS_REGEX

    def _after_name(self, name: str) -> _Slash:
        if self._last in (".", "?.") or name in _VALUES or name[0] == "#":
            return _Slash.DIVIDES
        if name in _EITHER:
            return _Slash.UNSURE
        return _Slash.STARTS_REGEX if name in _RESERVED else self._after_operand()

    def _after_operand(self) -> _Slash:
        """A name, a number or a text: an operand, or the end of a statement without any."""
        last = self._last
        in_block = not self._open or self._open[-1][0] == "{"
        may_end = last in _NO_OPERAND or (last == "," and in_block) or _is_plain_name(last)
        return _Slash.DIVIDES_ON_LINE if may_end else _Slash.DIVIDES

    def _after_punctuator(self, written: str) -> _Slash:
        # `x++ / y` divides what stood before; on a new line `++` belongs to what follows.
        if written in ("++", "--") and not self._on_new_line:
            return self._slash
        return _Slash.STARTS_REGEX

    def _is_head_of_statement(self) -> bool:
        """Tell whether a parenthesis that opens here is that of `if (...)` and the like."""
        if self._last == "await":
            return self._before_last == "for"
        return self._last in _BEFORE_PARENTHESIS and self._before_last not in (".", "?.")

    def _closes_html(self) -> bool:
        return self._at_line_start and self._text.startswith("-->", self._position)


def _has_line_end(text: str) -> bool:
    return any(end in text for end in _LINE_ENDS)


def _is_plain_name(token: str) -> bool:
    """Tell whether a token is a name that some dialect reads as a word of its grammar."""
    if token in _RESERVED or token in _VALUES:
        return False
    return re.fullmatch(_NAME, token) is not None and not token[0].isdigit()
