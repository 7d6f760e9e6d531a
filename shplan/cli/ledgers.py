"""
Where the ledger of an environment lies: from the text of `ledger:` to the backend behind it.

The text stands in a repository, so it says where, and never with what: credentials, endpoints and
how a connection is secured come from the environment of the process and the files of its user.
"""

from __future__ import annotations

import asyncio
import difflib
import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from shplan.api.git_index import UnreadableIndexError, tracks_below
from shplan.core.diagnostic import Diagnostic, SourceSpan
from shplan.core.errors import CredentialsError, LedgerError
from shplan.storage.access import may_ask_the_machine, region_of, why_closed

if TYPE_CHECKING:
    from shplan.ledger.port import Backend

# The objects are small, and whoever interrupts twice waits for the last one.
_TIMEOUTS_S: Final = (5.0, 10.0)
# A network that comes back within it ends no apply; a lease lives four times as long.
_PATIENCE_S: Final = 15.0
_SCHEMES: Final = ("file", "s3", "postgresql")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,62}")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()=-]+(?:/[A-Za-z0-9!_.*'()=-]+)*")


def open_backend(
    text: str,
    *,
    root: Path,
    default: str,
    environment: Mapping[str, str],
    span: SourceSpan | None = None,
) -> Backend:
    """
    Return the backend that `ledger:` names; nothing is opened before it is used.

    Args:
        text: as it stands in the project, empty for the default
        root: the project's directory, from which relative paths lead
        default: path of the directory that is meant where nothing is named
        environment: variables of the process
        span: where the text stands

    Raises:
        LedgerError: there is no such backend, or a package is missing
        CredentialsError: nothing says with what it should be opened
    """
    scheme, mark, _ = text.partition("://")
    if not mark or scheme == "file":
        return _directory(text.removeprefix("file://") or default, root, span)
    if scheme == "s3":
        return _bucket(text, environment, span)
    if scheme in ("postgresql", "postgres"):
        from shplan.cli.ledgers_postgres import open_postgres  # noqa: PLC0415

        return open_postgres(text, environment=environment, home=Path.home(), span=span)
    near = difflib.get_close_matches(scheme.lower(), _SCHEMES, n=1, cutoff=0.0)[0]
    raise refusal(
        what=f"`{scheme}://` is no place for a ledger.",
        why="A ledger is kept in a directory, in a bucket (s3://) or in PostgreSQL (postgresql://).",
        hint=f"did you mean `{near}://`?",
        span=span,
    )


def refusal(*, what: str, why: str, hint: str, span: SourceSpan | None) -> LedgerError:
    """Return the error about what `ledger:` says; its text is never shown, it may hold a secret."""
    diagnostic = Diagnostic(
        code="ledger/backend",
        summary="The ledger cannot be opened",
        what=what,
        why=why,
        hint=hint,
        span=span,
    )
    return LedgerError(diagnostic.what, diagnostics=(diagnostic,))


def demand_package(package: str, extra: str, *, span: SourceSpan | None) -> None:
    """
    Make sure that a package is there, before anything is half done.

    Raises:
        LedgerError: it is not installed
    """
    if importlib.util.find_spec(package) is None:
        raise refusal(
            what=f"this ledger needs the package {package}, which is not installed.",
            why="Who keeps ledgers in directories does not need it.",
            hint=f"pip install 'shplan[{extra}]'",
            span=span,
        )


def _directory(home: str, root: Path, span: SourceSpan | None) -> Backend:
    from shplan.ledger.backends.directory import DirectoryBackend  # noqa: PLC0415

    if _is_committed(root / home):
        # Who may change the repository could say what was made, and by whom it may be deleted.
        raise refusal(
            what=f"the ledger in {home} is committed to Git.",
            why="A ledger says which objects are ours: it comes from those who applied, and from "
            "nobody who sends a change.",
            hint=f"take it out (git rm -r --cached {home}), and ignore it; to share a ledger, "
            "write `ledger: s3://BUCKET/PREFIX` or postgresql://",
            span=span,
        )
    return DirectoryBackend(root / home, name=home)


def _is_committed(directory: Path) -> bool:
    try:
        return tracks_below(directory.resolve())
    except (UnreadableIndexError, OSError, RuntimeError):
        # Whoever sends a change sends no index of Git's.
        return False


def _bucket(text: str, environment: Mapping[str, str], span: SourceSpan | None) -> Backend:
    bucket, prefix = _place(text, span)
    demand_package("botocore", "s3", span=span)
    why = why_closed(environment)
    if why:
        diagnostic = Diagnostic(
            code="ledger/credentials",
            summary="Nothing says with what the ledger is opened",
            what=f"the ledger s3://{bucket}/{prefix} cannot be opened: {why}.",
            why="Credentials never stand in a project; those that merely lie about are not used.",
            hint="export AWS_PROFILE=...",
            span=span,
        )
        raise CredentialsError(diagnostic.what, diagnostics=(diagnostic,))
    from shplan.ledger.backends.s3 import S3Backend  # noqa: PLC0415
    from shplan.ledger.backends.settling import Patience  # noqa: PLC0415
    from shplan.storage.aws import Aws  # noqa: PLC0415
    from shplan.storage.objects import S3Objects  # noqa: PLC0415

    # Without a pause: whether a write was carried out is asked right after its answer was lost.
    aws = Aws(
        region=region_of(environment),
        asks_machine=may_ask_the_machine(environment),
        timeouts_s=_TIMEOUTS_S,
        pause_s=0.0,
    )
    patience = Patience(most_s=_PATIENCE_S, sleep=asyncio.sleep)
    return S3Backend(S3Objects(aws, bucket), prefix, patience=patience)


def _place(text: str, span: SourceSpan | None) -> tuple[str, str]:
    parts = urlsplit(text)
    bucket, prefix = parts.netloc, parts.path.strip("/")
    if "@" in bucket:
        raise refusal(
            what="the bucket of `ledger:` has an `@`.",
            why="Credentials never stand in a project.",
            hint="ledger: s3://BUCKET/PREFIX, and export AWS_PROFILE=...",
            span=span,
        )
    dots = any(part in (".", "..") for part in prefix.split("/"))
    good = _BUCKET.fullmatch(bucket) and (not prefix or _PREFIX.fullmatch(prefix)) and not dots
    if not good or parts.query or parts.fragment:
        raise refusal(
            what="`ledger:` does not name a bucket and a prefix.",
            why="The endpoint is that of AWS_ENDPOINT_URL; a prefix has letters, digits and -_.!*'()=.",
            hint="ledger: s3://BUCKET/PREFIX",
            span=span,
        )
    return bucket, prefix
