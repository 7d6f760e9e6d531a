"""
Several answers in one body: a tar archive or a body in parts, the same bytes for the same answers.

Source: the page on metadata: members are `<identifier>.<extension>`; RFC 2046, section 5.1.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shplan.sandbox.images import EXTENSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

TAR, MIXED = "application/x-tar", "multipart/mixed"


@dataclass(frozen=True, slots=True)
class Member:
    """One answer."""

    identifier: str
    media_type: str
    content: bytes

    @property
    def name(self) -> str:
        """Of its file. An identifier may hold anything, but no member lies anywhere else."""
        safe = self.identifier.replace("/", "_").replace("\\", "_").replace("\0", "_")
        return f"{safe}.{EXTENSIONS[self.media_type]}"


def packed(members: Sequence[Member], kind: str) -> tuple[bytes, str]:
    """The body that holds all members, and its media type."""
    return (_tar(members), TAR) if kind == TAR else _mixed(members)


def _tar(members: Sequence[Member]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            # Without a time or an owner, which would make other bytes of the same answers.
            info = tarfile.TarInfo(member.name)
            info.size = len(member.content)
            archive.addfile(info, io.BytesIO(member.content))
    return file.getvalue()


def _mixed(members: Sequence[Member]) -> tuple[bytes, str]:
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
