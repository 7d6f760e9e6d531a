"""
Where a secret is found: `env:NAME`, `file:PATH`, `aws:PROFILE/FIELD`. Reads nothing.

What is written between the quotes of `secret(...)` is a place and never a program. It may be a
secret that somebody pasted there, so that no message repeats it.
"""

from __future__ import annotations

import difflib
import posixpath
import re
from enum import Enum

from shplan.core.frozen import dataclass

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Source: AWS CLI User Guide, "Naming profiles": letters, digits, and some signs; no slash.
_PROFILE = re.compile(r"[A-Za-z0-9_.@+=-][A-Za-z0-9_.@+= -]{0,127}")
_LONGEST_PATH = 4096
_DRIVE = re.compile(r"[A-Za-z]:")


class Scheme(Enum):
    """What kind of place."""

    ENVIRONMENT = "env"
    FILE = "file"
    AWS = "aws"


EXAMPLES = {
    Scheme.ENVIRONMENT: "secret('env:NAME')",
    Scheme.FILE: "secret('file:/run/secrets/NAME')",
    Scheme.AWS: "secret('aws:PROFILE/secretAccessKey')",
}
# Source: AWS SDKs and Tools Reference Guide, "Static credentials"; the API's own names beside them.
AWS_FIELDS = {
    "accesskey": "aws_access_key_id",
    "accesskeyid": "aws_access_key_id",
    "secretaccesskey": "aws_secret_access_key",
    "sessiontoken": "aws_session_token",
}


class SecretPlaceError(ValueError):
    """
    A text names no place of a secret; nothing of the text is repeated.

    Args:
        hint: what would be right
    """

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what)
        self.what, self.hint = what, hint


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """
    A place of a secret.

    Args:
        name: of the variable, of the AWS profile, or the path of the file
        field: of the AWS profile, as its file spells it
    """

    scheme: Scheme
    name: str
    field: str = ""


def read_secret_place(text: str) -> SecretPlace:
    """
    Read what `secret(...)` takes.

    Raises:
        SecretPlaceError: it is none
    """
    scheme, colon, rest = text.partition(":")
    known = {one.value: one for one in Scheme}
    if not colon or scheme not in known:
        raise _unknown_scheme(scheme if colon else "")
    if scheme == Scheme.ENVIRONMENT.value:
        return _variable(rest)
    return _file(rest) if scheme == Scheme.FILE.value else _aws(rest)


def in_project(place: SecretPlace, directory: str) -> SecretPlace:
    """
    Return the place with a relative path of a file led from the project, not from the manifest.

    Args:
        directory: of the manifest, relative to the project

    Raises:
        SecretPlaceError: the path leaves the project
    """
    if place.scheme is not Scheme.FILE or not is_relative(place.name):
        return place
    path = posixpath.normpath(posixpath.join(directory, place.name))
    if path.split("/")[0] == "..":
        msg = "a relative path of `file:` stays in the project, and this one leaves it."
        raise SecretPlaceError(msg, hint="write an absolute path, or one that begins with `~/`")
    return SecretPlace(Scheme.FILE, path)


def is_relative(path: str) -> bool:
    """Tell whether a path leads from the manifest, not from the root or the home directory."""
    return not path.startswith(("/", "\\", "~")) and not _DRIVE.match(path)


def _unknown_scheme(scheme: str) -> SecretPlaceError:
    names = [one.value for one in Scheme]
    near = difflib.get_close_matches(scheme.lower()[:20], names, n=1, cutoff=0.6)
    if near:
        hint = f"did you mean `{near[0]}:`?"
        return SecretPlaceError("secret(...) does not know this kind of place.", hint=hint)
    return SecretPlaceError(
        "secret(...) takes the place where the secret is found, not the secret itself.",
        hint="write {{ " + " }}, {{ ".join(EXAMPLES.values()) + " }}",
    )


def _variable(name: str) -> SecretPlace:
    if not _VARIABLE.fullmatch(name):
        msg = "`env:` is followed by the name of a variable: letters, digits and underscores."
        raise SecretPlaceError(msg, hint="write {{ secret('env:NAME') }}")
    return SecretPlace(Scheme.ENVIRONMENT, name)


def _file(path: str) -> SecretPlace:
    printable = path.isprintable() and path == path.strip() and len(path) <= _LONGEST_PATH
    if not path or not printable or path.endswith(("/", "\\")) or path.startswith("//"):
        msg = "`file:` is followed by the path of a file."
        raise SecretPlaceError(msg, hint="write {{ secret('file:/run/secrets/NAME') }}")
    if path.startswith("~") and not path.startswith("~/"):
        msg = "`file:` knows the home directory of who runs shplan, `~/`, and of nobody else."
        raise SecretPlaceError(msg, hint="write {{ secret('file:~/NAME') }}")
    return SecretPlace(Scheme.FILE, path)


def _aws(rest: str) -> SecretPlace:
    profile, slash, name = rest.partition("/")
    if not slash or not _PROFILE.fullmatch(profile):
        msg = "`aws:` is followed by the name of a profile, a slash and a field."
        raise SecretPlaceError(msg, hint="write {{ secret('aws:PROFILE/secretAccessKey') }}")
    folded = name.lower().replace("_", "").removeprefix("aws")
    if folded not in AWS_FIELDS:
        fields = ["accessKeyId", "secretAccessKey", "sessionToken"]
        near = difflib.get_close_matches(folded[:40], [one.lower() for one in fields], n=1)
        meant = next((one for one in fields if near and one.lower() == near[0]), "")
        msg = "an AWS profile holds `accessKeyId`, `secretAccessKey` and `sessionToken`."
        hint = f"did you mean `{meant}`?" if meant else "write one of them after the slash"
        raise SecretPlaceError(msg, hint=hint)
    return SecretPlace(Scheme.AWS, profile, AWS_FIELDS[folded])
