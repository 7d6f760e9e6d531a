"""Files are written whole or not at all, and a link is no way to write elsewhere."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from shplan.manifest.writing import write_whole


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert [one.name for one in tmp_path.iterdir()] == ["plan.json"]


def test_what_cannot_be_written_is_called_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "plan.json"
    with pytest.raises(FileNotFoundError) as raised:
        write_whole(path, b"one")
    assert raised.value.filename == str(path)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_who_may_read_it_stays_as_it_was(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(b"one")
    path.chmod(mode)
    write_whole(path, b"two")
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_new_file_obeys_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_whole(tmp_path / "plan.json", b"one")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "plan.json").stat().st_mode) == 0o600


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"outside")
    path = tmp_path / "plan.json"
    path.symlink_to("outside")
    write_whole(path, b"one")
    assert (tmp_path / "outside").read_bytes() == b"outside"
    assert path.read_bytes() == b"one"
    assert not path.is_symlink()


def test_what_fails_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    path = tmp_path / "full" / "plan.json"
    path.write_bytes(b"one")
    with pytest.raises(TypeError):
        write_whole(path, "no bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"one"
    assert [one.name for one in path.parent.iterdir()] == ["plan.json"]
    with pytest.raises(OSError):
        write_whole(tmp_path / "absent" / "plan.json", b"one")


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    """`-o /dev/stdout` and the like."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    write_whole(path, b"one")
    reader.join(timeout=60)
    assert read == [b"one"]
