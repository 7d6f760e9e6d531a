"""
Bodies in parts: a request as JSON, and beside it the evalscript as it is written.

Source: RFC 2046, section 5.1.1; RFC 7578; the document's `MultiPart...` schemas, which have the
parts `request` and `evalscript`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shplan.sandbox.wire import decode

if TYPE_CHECKING:
    from shplan.sandbox.wire import Json

MEDIA_TYPE = "multipart/form-data"
REQUEST, EVALSCRIPT = "request", "evalscript"

_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_DISPOSITION = re.compile(rb"content-disposition:\s*form-data\s*;(.*)", re.IGNORECASE | re.DOTALL)
_NAME = re.compile(rb'(?:^|;)\s*name=(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)
_BREAK = b"\r\n"


def request(content_type: str, content: bytes, *, script_at: tuple[str, ...]) -> Json:
    """
    The request of a body in parts, with the evalscript put where its member is.

    Args:
        script_at: members that lead to it, itself the last

    Raises:
        ValueError: no such body, or its request is no JSON
    """
    found = parts(content_type, content)
    if REQUEST not in found:
        msg = f"the part {REQUEST!r} is missing"
        raise ValueError(msg)
    value = decode(found[REQUEST])
    if EVALSCRIPT in found:
        holder: Json = value
        for step in script_at[:-1]:
            holder = holder.get(step) if isinstance(holder, dict) else None
        if isinstance(holder, dict):
            holder[script_at[-1]] = found[EVALSCRIPT].decode()
    return value


def parts(content_type: str, content: bytes) -> dict[str, bytes]:
    """
    The parts of a body by their names.

    Raises:
        ValueError: it is not closed, or a part has no name or the name of another
    """
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        msg = "the content type names no boundary"
        raise ValueError(msg)
    mark = _BREAK + b"--" + (boundary[1] or boundary[2]).encode("latin-1", "replace")
    _, *pieces = (_BREAK + content).split(mark)
    if not pieces or not pieces[-1].startswith(b"--"):
        msg = "the last part is not closed"
        raise ValueError(msg)
    found: dict[str, bytes] = {}
    for piece in pieces[:-1]:
        name, value = _part(piece)
        if name in found:
            msg = f"the part {name!r} is there twice"
            raise ValueError(msg)
        found[name] = value
    return found


def _part(piece: bytes) -> tuple[str, bytes]:
    head, separator, value = piece.partition(_BREAK * 2)
    for line in head.split(_BREAK):
        disposition = _DISPOSITION.match(line)
        name = disposition and _NAME.search(disposition[1])
        if separator and name:
            return (name[1] or name[2] or b"").decode("utf-8", "replace"), value
    msg = "a part has no name"
    raise ValueError(msg)
