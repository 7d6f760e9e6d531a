"""
Several answers in one body: a tar archive or a body in parts, the same bytes for the same answers.

Source: the page on metadata: members are `<identifier>.<extension>`; RFC 2046, section 5.1.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shplan.sandbox.result_files import ResultFile

TAR, MIXED = "application/x-tar", "multipart/mixed"


def packed(members: Sequence[ResultFile], kind: str) -> tuple[bytes, str]:
    """The body that holds all members, and its media type."""
    return (_tar(members), TAR) if kind == TAR else _mixed(members)


def _tar(members: Sequence[ResultFile]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            # Without a time or an owner, which would make other bytes of the same answers.
            info = tarfile.TarInfo(member.name)
            info.size = len(member.content)
            archive.addfile(info, io.BytesIO(member.content))
    return file.getvalue()


def _mixed(members: Sequence[ResultFile]) -> tuple[bytes, str]:
    digest = hashlib.sha256()
    for member in members:
        digest.update(member.content)
    # Nothing can hold its own digest.
    boundary = digest.hexdigest()[:32]
    body = io.BytesIO()
    for member in members:
        name = member.name.encode("ascii", "replace").decode().replace('"', "_")
        name = "".join(letter if letter.isprintable() else "_" for letter in name)
        body.write(
            f"--{boundary}\r\nContent-Type: {member.media_type}\r\n"
            f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'.encode()
        )
        body.write(member.content + b"\r\n")
    body.write(f"--{boundary}--\r\n".encode())
    return body.getvalue(), f'{MIXED}; boundary="{boundary}"'
