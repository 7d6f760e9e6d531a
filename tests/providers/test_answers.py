"""What a server may send instead of an answer, and that nothing of it passes for one."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.request import Answer
from shplan.providers.answers import BadAnswerError, CutOffError, check_form, members, one_file

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 20 + b"\0\0\0\0IEND\xaeB\x60\x82"
JPEG = b"\xff\xd8\xff\xe0" + b"pixels" * 20 + b"\xff\xd9"
TIFF = b"II*\0" + b"pixels" * 20
WHOLE = {"png": PNG, "jpeg": JPEG, "tiff": TIFF, "json": b'{"told": [1, 2, 3]}'}
TYPES = {form: f"image/{form}" for form in ("png", "jpeg", "tiff")} | {"json": "application/json"}


def answer(content: bytes, media_type: str) -> Answer:
    return Answer(200, content=content, media_type=media_type)


def tar(*entries: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size, info.type = len(content), kind
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


@pytest.mark.parametrize("form", WHOLE)
@pytest.mark.parametrize("vague", [False, True])
def test_what_was_asked_for_is_taken(form: str, vague: bool) -> None:
    media_type = "application/octet-stream" if vague else TYPES[form]
    assert one_file(answer(WHOLE[form], media_type), form=form) == WHOLE[form]


@pytest.mark.parametrize("form", WHOLE)
@pytest.mark.parametrize("other", WHOLE)
def test_another_media_type_is_no_answer(form: str, other: str) -> None:
    if form == other:
        return
    with pytest.raises(BadAnswerError) as refused:
        one_file(answer(WHOLE[other], TYPES[other]), form=form)
    assert not isinstance(refused.value, CutOffError)
    # Whatever it calls itself.
    with pytest.raises(BadAnswerError):
        one_file(answer(WHOLE[other], TYPES[form]), form=form)


def test_an_error_that_comes_with_200_is_told_in_its_words() -> None:
    body = b'{"error": {"status": 400, "message": "no imagery there"}}'
    with pytest.raises(BadAnswerError, match="no imagery there"):
        one_file(answer(body, "application/json"), form="png")
    with pytest.raises(BadAnswerError, match="Bad Gateway"):
        one_file(answer(b"<html>Bad Gateway</html>", "text/html"), form="json")


@pytest.mark.parametrize("form", ["png", "jpeg", "json"])
@given(data=st.data())
def test_a_part_of_an_answer_is_a_lost_one(form: str, data: st.DataObject) -> None:
    whole = WHOLE[form]
    # Of what is shorter than that nobody can say what it was to be.
    shortest = {"png": 8, "jpeg": 3, "json": 1}[form]
    length = data.draw(st.integers(shortest, len(whole) - 5 if form != "json" else len(whole) - 1))
    with pytest.raises(CutOffError):
        check_form(whole[:length], form)


def test_nothing_at_all_is_a_lost_answer() -> None:
    with pytest.raises(CutOffError):
        one_file(answer(b"", "image/png"), form="png")


def test_the_members_of_an_archive_are_found_by_their_identifiers() -> None:
    content = tar(("default.png", PNG), ("a.b.tif", TIFF))
    assert members(answer(content, "application/x-tar")) == {"default": PNG, "a.b": TIFF}


@given(st.integers(1, 3000))
def test_an_archive_that_is_cut_off_is_never_taken_for_whole(length: int) -> None:
    """Between two members nobody can tell; that one of them is missing is found by its name."""
    content = tar(("default.png", PNG), ("mask.tif", TIFF))
    try:
        found = members(answer(content[:length], "application/tar"))
    except CutOffError:
        return
    assert all(one in (PNG, TIFF) for one in found.values())
    assert set(found) in ({"default"}, {"default", "mask"})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../outside.png", tarfile.REGTYPE),
        ("/etc/passwd", tarfile.REGTYPE),
        ("below/default.png", tarfile.REGTYPE),
        ("default.png", tarfile.SYMTYPE),
        ("default.png", tarfile.LNKTYPE),
        ("default.png", tarfile.DIRTYPE),
        ("default.png", tarfile.FIFOTYPE),
    ],
)
def test_an_archive_holds_plain_files_and_nothing_else(name: str, kind: bytes) -> None:
    with pytest.raises(BadAnswerError, match="no plain file"):
        members(answer(tar((name, b""), kind=kind), "application/tar"))


def test_compressed_archives_are_not_unpacked() -> None:
    import gzip

    packed = gzip.compress(tar(("default.png", PNG)))
    with pytest.raises(BadAnswerError):
        members(answer(packed, "application/tar"))


@given(st.binary(max_size=600))
def test_bytes_of_any_kind_are_read_or_refused(content: bytes) -> None:
    for form in WHOLE:
        try:
            check_form(content, form)
        except BadAnswerError:
            continue
    try:
        members(answer(content, "application/tar"))
    except BadAnswerError:
        return
