"""What is read of a disk, and what is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shplan.manifest.source import DiskReader, FileError, Files


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fields.yaml")
    files = Files(tmp_path, DiskReader())
    with pytest.raises(FileError, match="no regular file"):
        files.read(tmp_path / "fields.yaml")
    with pytest.raises(FileError, match="no regular file"):
        list(files.blocks(tmp_path / "fields.yaml"))
