"""
Regular expressions of a project: RE2 matches them, in a time that grows with the text alone.

Whatever the expression is, whoever wrote it: what RE2 cannot do like this (backreferences, looking
around) is refused, as it may take for ever.
"""

from __future__ import annotations

import re
from typing import Any

_MOST_MEMORY = 8 << 20
_LOOKS_AROUND = re.compile(r"\(\?<?[=!]|\(\?>|\\[1-9]|\\k<|[*+?}]\+")


class RegexError(ValueError):
    """
    A text is no regular expression, or none that ends.

    Args:
        what: a sentence, without what it is about
    """

    def __init__(self, what: str, *, why: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why


def compiled(text: str) -> Any:
    """
    Return what matches a regular expression.

    Raises:
        RegexError: it is none
    """
    import re2  # noqa: PLC0415 - few projects have such expressions

    options = re2.Options()
    options.max_mem = _MOST_MEMORY
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        told = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        why = ""
        if _LOOKS_AROUND.search(text):
            why = "Backreferences, possessive repetitions and looking around are not offered: matching them may take for ever."
        message = f"is no regular expression: {told[:200]}."
        raise RegexError(message, why=why) from error
