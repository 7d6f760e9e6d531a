"""
Signatures over heads of the ledger, made and checked by `ssh-keygen` with a team's own keys.

The program is the one on the PATH of whoever types the command, and nothing in a project can name
another: only `ledger sign` and `ledger verify --allowed-signers` run it, with a fixed command line.
Passphrases are asked by the program itself, and a key in an agent never leaves it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from shplan.core.diagnostic import Diagnostic
from shplan.core.errors import LedgerError
from shplan.core.signed_heads import NAMESPACE, SignedHead, Statement

PROGRAM: Final = "ssh-keygen"
_TIME: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?Z")


def sign(statement: Statement, key: Path) -> SignedHead:
    """
    Sign a statement.

    Args:
        key: file of a private key, or of a public one whose private key an agent holds

    Raises:
        LedgerError: there is no such program, or it did not sign
    """
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "statement"
        file.write_bytes(statement.content())
        # From a file, so that a passphrase can be asked where people type.
        command = ["-Y", "sign", "-n", NAMESPACE, "-f", str(key.absolute()), str(file)]
        done = _run(command, None)
        made = file.with_suffix(".sig")
        signature = made.read_text(encoding="ascii") if made.is_file() else ""
    if done.returncode or not signature:
        diagnostic = Diagnostic(
            code="ledger/sign",
            summary="Not signed",
            what=f"{PROGRAM} did not sign with {key}: {_said(done)}",
            hint="--key takes a private key, or the public one of a key in your ssh-agent",
        )
        raise LedgerError(diagnostic.what, diagnostics=(diagnostic,))
    return SignedHead(statement, signature)


def signer_of(signed: SignedHead, allowed_signers: Path) -> tuple[str, str]:
    """
    Return who signed, of the allowed signers; or an empty name, and why it is nobody.

    A key counts for the time that its line in the file gives it, at the time that was signed.

    Args:
        allowed_signers: in the form of `ssh-keygen` ("ALLOWED SIGNERS")

    Raises:
        LedgerError: there is no such program
    """
    match = _TIME.fullmatch(signed.statement.time)
    if match is None:
        return "", "its time is none"
    content = signed.statement.content()
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "signature"
        file.write_text(signed.signature, encoding="utf-8")
        common = ["-s", str(file), "-O", f"verify-time={''.join(match.groups())}"]
        allowed = ["-f", str(allowed_signers.absolute())]
        genuine = _run(["-Y", "check-novalidate", "-n", NAMESPACE, *common], content)
        if genuine.returncode:
            return "", "it is no signature of what the line says"
        found = _run(["-Y", "find-principals", *allowed, *common], b"")
        names = [] if found.returncode else found.stdout.decode("utf-8", "replace").splitlines()
        for name in filter(None, names):
            checked = ["-Y", "verify", *allowed, "-I", name, "-n", NAMESPACE, *common]
            if _run(checked, content).returncode == 0:
                return name, ""
    return "", f"no allowed signer made it ({_key_of(genuine)})"


def _key_of(genuine: subprocess.CompletedProcess[bytes]) -> str:
    """Return the fingerprint that was said of a genuine signature."""
    found = re.search(rb"SHA256:[A-Za-z0-9+/]+", genuine.stdout + genuine.stderr)
    return f"key {found[0].decode()}" if found else "unknown key"


def _run(arguments: Sequence[str], content: bytes | None) -> subprocess.CompletedProcess[bytes]:
    # Times are told without a zone, which older programs read as local ones.
    environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C"}
    command = [_program(), *arguments]
    return subprocess.run(  # noqa: S603 - a fixed program with fixed options, and no shell
        command, input=content, capture_output=True, check=False, env=environment
    )


def _program() -> str:
    """
    Find the program; not in the working directory, where it could be anybody's.

    Raises:
        LedgerError: it is not installed
    """
    name = f"{PROGRAM}.exe" if sys.platform == "win32" else PROGRAM
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        file = Path(folder) / name
        if Path(folder).is_absolute() and file.is_file() and os.access(file, os.X_OK):
            return str(file)
    diagnostic = Diagnostic(
        code="ledger/no-ssh-keygen",
        summary="No ssh-keygen",
        what=f"{PROGRAM} is not on the PATH.",
        why="Heads of the ledger are signed with SSH keys, by OpenSSH's own program.",
        hint="install OpenSSH's client (Debian: openssh-client), 8.9 or newer",
    )
    raise LedgerError(diagnostic.what, diagnostics=(diagnostic,))


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return f"{lines[-1].rstrip('.')}." if lines else f"it left with {done.returncode}."
