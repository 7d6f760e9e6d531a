"""
Reveals secrets at the moment of a request: from a variable, a file, an AWS profile.

Nothing is kept: each request reads anew, so that a rotated secret is used at once. No program is
started for any of them, whatever a profile says. Messages name places, never contents.
"""

from __future__ import annotations

import configparser
import difflib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from shplan.api.git_index import UnreadableIndexError, is_tracked
from shplan.core.diagnostic import Diagnostic
from shplan.core.errors import SecretError
from shplan.core.secret_places import Scheme, SecretPlace, is_relative, read_secret_place
from shplan.core.value import SecretReference, Sensitive

# A key, a token, a certificate; not a file that somebody named by mistake.
MOST_BYTES = 64 << 10
_MOST_AWS_BYTES = 1 << 20
_WHY = "Secrets are read at the moment of the request, never earlier."
# Source: AWS SDKs and Tools Reference Guide, settings of a profile that has no keys of its own.
_ELSEWHERE = {
    "sso_session": "signs in through a browser (sso_session)",
    "sso_start_url": "signs in through a browser (sso_start_url)",
    "role_arn": "assumes a role (role_arn)",
    "web_identity_token_file": "assumes a role (web_identity_token_file)",
    "credential_source": "takes its keys from elsewhere (credential_source)",
}


class SecretSources:
    """
    The places of secrets, as one process sees them.

    Args:
        environment: variables of the process
        home: directory of who runs it
        root: of the project, from which the relative paths of files lead
    """

    def __init__(self, environment: Mapping[str, str], *, home: Path, root: Path) -> None:
        self._environment = environment
        self._home = home
        self._root = root

    def reveal(self, value: Sensitive) -> str:
        """
        Return the text with its secrets in place.

        Raises:
            SecretError: one of them is not there
        """
        return "".join(
            part if isinstance(part, str) else self._secret(part) for part in value.parts
        )

    def _secret(self, part: SecretReference) -> str:
        place = read_secret_place(part.text)
        if place.scheme is Scheme.ENVIRONMENT:
            return self._variable(place, part)
        return self._file(place, part) if place.scheme is Scheme.FILE else self._aws(place, part)

    def _variable(self, place: SecretPlace, part: SecretReference) -> str:
        found = self._environment.get(place.name)
        if found is None:
            raise _missing(part, "is not set", hint=f"export {place.name}=...")
        return found

    def _file(self, place: SecretPlace, part: SecretReference) -> str:
        path = self._path(place.name)
        self._refuse_committed(path, part)
        text = _read(path, part, most_bytes=MOST_BYTES)
        # Editors and `echo` end a line; a secret does not end with one.
        secret = text.removesuffix("\n").removesuffix("\r")
        if not secret:
            raise _missing(part, "is empty", hint="write the secret into the file")
        return secret

    def _path(self, name: str) -> Path:
        if name.startswith("~/"):
            return self._home / name[2:]
        return self._root / name if is_relative(name) else Path(name)

    def _refuse_committed(self, path: Path, part: SecretReference) -> None:
        """Refuse a file that Git tracks: its history would keep the secret for ever."""
        try:
            tracked = is_tracked(path.resolve())
        except UnreadableIndexError as error:
            raise _missing(
                part,
                f"lies in a Git repository, and {error}",
                why="A file that Git tracks is no place for a secret; whether it does is not known.",
                hint="keep the secret outside of the repository",
            ) from None
        except (OSError, RuntimeError) as error:
            # A directory that may not be looked into, a link that leads to itself.
            told = error.strerror if isinstance(error, OSError) else None
            what = f"cannot be read: {(told or 'a link leads back to itself').lower()}"
            raise _missing(part, what, hint="name a file that may be read") from None
        if tracked:
            raise _missing(
                part,
                "is a file that Git tracks",
                hint="take it out (git rm --cached), add it to .gitignore, and replace the "
                "secret where it was issued: it is in the history",
            )

    def _aws(self, place: SecretPlace, part: SecretReference) -> str:
        profiles = self._profiles(part)
        known = sorted({name for _, names in profiles for name in names})
        if place.name not in known:
            raise _unknown_profile(place.name, known, part)
        merged: dict[str, str] = {}
        for _, names in reversed(profiles):
            merged.update(names.get(place.name, {}))
        if merged.get("credential_process") is not None:
            raise _missing(
                part,
                "names a profile that runs a program (credential_process)",
                why="No manifest can run a program, not by way of a profile either.",
                hint=_export(place.name),
            )
        found = merged.get(place.field, "").strip()
        if not found:
            elsewhere = next((said for key, said in _ELSEWHERE.items() if key in merged), "")
            what = f"names a profile that {elsewhere}" if elsewhere else f"has no {place.field}"
            raise _missing(part, what, hint=_export(place.name))
        return found

    def _profiles(self, part: SecretReference) -> list[tuple[Path, dict[str, dict[str, str]]]]:
        """
        Return the profiles of the two files of AWS, the one that goes before first.

        Source: AWS SDKs and Tools Reference Guide, "Shared config and credentials files".
        """
        files = (
            ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", ""),
            ("AWS_CONFIG_FILE", ".aws/config", "profile "),
        )
        found = []
        for variable, usual, prefix in files:
            named = self._environment.get(variable, "")
            path = self._path(named) if named else self._home / usual
            if named or path.exists():
                text = _read(path, part, most_bytes=_MOST_AWS_BYTES)
                found.append((path, _sections(text, prefix, path.name, part)))
        return found


def _sections(
    text: str, prefix: str, file: str, part: SecretReference
) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(default_section="", strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except configparser.Error:
        # The parser's message quotes the line, which may hold a key.
        raise _missing(
            part, f"cannot be read: {file} is no file of AWS profiles", hint="repair the file"
        ) from None
    return {
        name.removeprefix(prefix).strip(): {key: value or "" for key, value in table.items()}
        for name, table in parser.items()
        if name and (not prefix or name == "default" or name.startswith(prefix))
    }


def _read(path: Path, part: SecretReference, *, most_bytes: int) -> str:
    """Read a small text file; a pipe or a device would keep us waiting."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as stream:  # noqa: PTH123 - an open file has no path
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _missing(part, "is no regular file", hint="name a file")
            content = stream.read(most_bytes + 1)
    except OSError as error:
        what = f"cannot be read: {(error.strerror or 'input/output error').lower()}"
        raise _missing(part, what, hint="make the file, readable for who runs shplan") from None
    if len(content) > most_bytes:
        raise _missing(part, f"is larger than {most_bytes >> 10} KB", hint="name another file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _missing(part, "is not UTF-8", hint="save the file as UTF-8") from None


def _export(profile: str) -> str:
    return (
        f"run `aws configure export-credentials --profile {profile} --format env` outside, and "
        "write {{ secret('env:AWS_SECRET_ACCESS_KEY') }}"
    )


def _unknown_profile(name: str, known: list[str], part: SecretReference) -> SecretError:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        hint = f"did you mean `{near[0]}`?"
    elif known:
        hint = f"there are {', '.join(known[:12])}"
    else:
        hint = f"run `aws configure --profile {name}`"
    return _missing(part, "names a profile that the files of AWS do not have", hint=hint)


def _missing(part: SecretReference, what: str, *, hint: str = "", why: str = _WHY) -> SecretError:
    diagnostic = Diagnostic(
        code="credentials/secret",
        summary="Secret not found",
        what=f"secret('{part.text}') {what}.",
        why=why,
        hint=hint,
    )
    return SecretError(diagnostic.what, diagnostics=(diagnostic,))
