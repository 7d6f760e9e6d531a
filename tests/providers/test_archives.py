"""Archives of a server that means harm are read in one pass, or refused."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.request import Answer
from shplan.providers.answers import BadAnswerError, CutOffError, members
from shplan.providers.archives import ArchiveError, OtherMemberError, plain_members
from tests.support.bounded import in_bounds

END = bytes(1024)


def header(name: bytes = b"a.tif", size: int = 0, kind: bytes = b"0") -> bytes:
    """One header; a negative size in the form of GNU tar."""
    digits = b"%011o\0" % size if size >= 0 else b"\xff" + size.to_bytes(11, "big", signed=True)
    parts = (name.ljust(100, b"\0"), b"0000644\0", b"0000000\0" * 2, digits, b"0" * 11 + b"\0")
    whole = b"".join((*parts, b" " * 8, kind, bytes(100), b"ustar\x0000")).ljust(512, b"\0")
    return whole[:148] + b"%06o\0 " % sum(whole) + whole[156:]


def padded(content: bytes) -> bytes:
    return content.ljust(-(-len(content) // 512) * 512, b"\0")


def pax(content: bytes) -> bytes:
    return header(b"p", len(content), b"x") + padded(content)


def record(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    while len(b"%d" % length) + len(key) + len(value) + 3 != length:
        length += 1
    return b"%d %s=%s\n" % (length, key, value)


HOSTILE = {
    "a size below nothing": header(size=-512) + END,
    "a name that goes back": header(b"p", -512, b"L") + header() + END,
    "an extended header that goes back": header(b"p", -1024, b"x") + header() + END,
    "an extended size below nothing": pax(record(b"size", b"-1536")) + header() + END,
    "an extended size beyond all": pax(record(b"size", b"9" * 30)) + header() + END,
    "headers of headers": pax(record(b"path", b"x/y")) * 3000 + header() + END,
    "names of names": (header(b"p", 1, b"L") + padded(b"/")) * 3000 + header() + END,
    "digits without an end": pax(b"1" * 60_000) + header() + END,
    "digits and a blank": pax(b"1" * 60_000 + b" a=b\n") + header() + END,
    "a record of any length": pax(b"9" * 7 + b" a=b\n") + header() + END,
    "a record of no length": pax(b"0 a=b\n") + header() + END,
    "a large extended header": pax(record(b"comment", b"x" * 200_000)) + header() + END,
    "holes": header(kind=b"S") + END,
    "holes by records": pax(record(b"GNU.sparse.map", b"0,1")) + header() + END,
    "one name many times": header() * 5000 + END,
    "two forms of one name": header(b"a.tif") + header(b"a.json") + END,
    "many names": b"".join(header(b"%d" % number) for number in range(3000)) + END,
    "a way out by a record": pax(record(b"path", b"../a.tif")) + header() + END,
    "a checksum of another": header()[:-1] + b"x" + END,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused(name: str) -> None:
    def read() -> str:
        answer = Answer(status=200, content=HOSTILE[name], media_type="application/x-tar")
        try:
            return repr(members(answer))
        except BadAnswerError as error:
            return f"refused: {error}"

    told = in_bounds(read)
    assert told.startswith("refused: "), told
    assert len(told) < 500


FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
NAMES = st.text(
    st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=60
)


@given(
    st.dictionaries(NAMES, st.binary(max_size=1500), min_size=1, max_size=4),
    st.sampled_from(FORMATS[1:]),
)
def test_files_are_read_as_python_writes_them(files: dict[str, bytes], form: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name * 3)
            info.size, info.mtime = len(content), 1.5
            archive.addfile(info, io.BytesIO(content))
    found = {one.name: one.content for one in plain_members(out.getvalue())}
    assert found == {name * 3: content for name, content in files.items()}


@given(st.binary(max_size=2000), st.integers(0, 3))
def test_any_bytes_are_read_or_refused(content: bytes, at: int) -> None:
    good = pax(record(b"path", b"b.tif")) + header(size=3) + padded(b"abc") + END
    bent = good[: at * 400] + content + good[at * 400 + len(content) :]
    for one in (content, bent):
        try:
            list(plain_members(one))
        except (ArchiveError, OtherMemberError):
            continue


def test_what_ends_in_a_file_is_cut_off() -> None:
    whole = header(size=700) + padded(b"x" * 700)
    for length in (513, 1000, 1211):
        with pytest.raises(CutOffError):
            members(Answer(status=200, content=whole[:length], media_type="application/tar"))
