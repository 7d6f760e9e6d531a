"""
What an answer that is a file must be: the media type that was asked for, whole, and nothing else.

A server that says 200 and sends something else was paid all the same; so what is not the answer is
told apart from a refusal, and never written. Source: the process page on responses, and the formats'
own descriptions: PNG (W3C, section 5), JPEG (ITU T.81, annex B), TIFF 6.0 section 2, POSIX ustar.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from shplan.core.json_bounds import holds_too_much
from shplan.core.request import Answer
from shplan.providers.archives import ArchiveError, Member, OtherMemberError, plain_members

TAR: Final = "application/tar"
MEDIA_TYPES: Final[Mapping[str, str]] = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/tiff": "tiff",
    "application/json": "json",
}
_TARS: Final = frozenset({TAR, "application/x-tar"})
# A server may be content to say that it sends bytes.
_ANY: Final = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_TIFFS: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MOST_MEMBERS: Final = 1_000
_TAIL_BYTES: Final = 64
_SHOWN: Final = 200


class BadAnswerError(ValueError):
    """What came is not the answer; it may have been paid."""


class CutOffError(BadAnswerError):
    """What came is a part of the answer, or nothing of it: the answer was lost on its way."""


def one_file(answer: Answer, *, form: str) -> bytes:
    """
    Return an answer that is one file.

    Raises:
        BadAnswerError: it is none of this form, or not whole
    """
    media_type = answer.media_type.replace("image/jpg", "image/jpeg")
    if media_type not in _ANY and MEDIA_TYPES.get(media_type) != form:
        msg = f"the answer is {media_type}, not {form}{_words(answer.content)}"
        raise BadAnswerError(msg)
    check_form(answer.content, form)
    return answer.content


def members(answer: Answer) -> dict[str, bytes]:
    """
    Return the files of an archive by their names without the suffix: the identifiers.

    Raises:
        BadAnswerError: it is no archive, cut off, or holds what no answer holds
    """
    if answer.media_type not in _ANY | _TARS:
        shown = f"the answer is {answer.media_type}, not a tar archive{_words(answer.content)}"
        raise BadAnswerError(shown)
    found: dict[str, bytes] = {}
    try:
        # Without compression: what it holds is no larger than what came.
        for member in plain_members(answer.content):
            _add(found, member)
    except OtherMemberError as error:
        msg = f"the archive holds {error.name[:_SHOWN]!r}, which is no plain file"
        raise BadAnswerError(msg) from error
    except ArchiveError as error:
        # Its name says tar: it is one that ends too early.
        msg = f"the tar archive cannot be read: {error}"
        raise CutOffError(msg) from error
    if not found:
        msg = "the archive is empty"
        raise CutOffError(msg)
    return found


def _add(found: dict[str, bytes], member: Member) -> None:
    name = member.name.removeprefix("./")
    if not name or "/" in name:
        raise OtherMemberError(name)
    if not member.is_whole:
        msg = f"the archive is cut off in {name[:_SHOWN]}"
        raise CutOffError(msg)
    identifier = name.rpartition(".")[0] or name
    if identifier in found:
        msg = f"the archive holds {identifier[:_SHOWN]!r} twice"
        raise BadAnswerError(msg)
    if len(found) >= _MOST_MEMBERS:
        msg = f"the archive holds more than {_MOST_MEMBERS} files"
        raise BadAnswerError(msg)
    found[identifier] = member.content


def check_form(content: bytes, form: str) -> None:
    """
    Check that bytes are a file of a form, from its beginning to its end.

    Raises:
        BadAnswerError: they are not
    """
    if not content:
        msg = "the answer is empty"
        raise CutOffError(msg)
    tail = content[-_TAIL_BYTES:]
    if form == "png":
        begins, ends = content.startswith(b"\x89PNG\r\n\x1a\n"), b"IEND" in tail
    elif form == "jpeg":
        begins, ends = content.startswith(b"\xff\xd8\xff"), b"\xff\xd9" in tail
    elif form == "tiff":
        begins, ends = content.startswith(_TIFFS), True
    elif form == "json":
        read_json(content)
        return
    else:
        return
    if not begins:
        msg = f"the answer is no {form}{_words(content)}"
        raise BadAnswerError(msg)
    if not ends:
        msg = f"the {form} is cut off after {len(content):,} bytes"
        raise CutOffError(msg)


def read_json(content: bytes) -> object:
    """
    Read a JSON text.

    Raises:
        BadAnswerError: it is none
    """
    if holds_too_much(content):
        msg = "the answer holds more values than any answer does"
        raise BadAnswerError(msg)
    try:
        found: object = json.loads(content)
    except (ValueError, RecursionError) as error:
        if content.lstrip()[:1] not in (b"{", b"["):
            msg = f"the answer is no JSON{_words(content)}"
            raise BadAnswerError(msg) from error
        msg = f"the JSON is cut off, or is none: {error}"
        raise CutOffError(msg) from error
    return found


def _words(content: bytes) -> str:
    """Return the beginning of what came, where it is a text."""
    text = content[: 4 * _SHOWN].decode("utf-8", "replace")
    if "\0" in text or "\ufffd" in text[:_SHOWN]:
        return ""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_SHOWN]
    return f": {line}" if line else ""
