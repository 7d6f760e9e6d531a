"""`shplan sandbox serve` behaves badly when it is told to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from shplan.cli.sandbox_options import Behaviour, prepare
from shplan.core.errors import PlanError
from shplan.sandbox.app import close_app, create_app
from shplan.sandbox.clock import SystemClock


def wanted(**options: Any) -> Behaviour:
    nothing: dict[str, Any] = {
        "seed": None,
        "speed": None,
        "list_lag": None,
        "rate": None,
        "latency": None,
        "faults": (),
        "assignments": (),
    }
    return Behaviour(**{**nothing, **options})


def use(data: Path) -> None:
    app = create_app(data, clock=SystemClock())
    with app.state.world.store.writing():
        app.state.world.store.mint("collection")
    close_app(app)


def forget(data: Path) -> None:
    app = create_app(data, clock=SystemClock())
    app.state.world.reset()
    close_app(app)


def opened(data: Path) -> dict[str, Any]:
    app = create_app(data, clock=SystemClock())
    world = app.state.world
    content = {"seed": world.store.seed, "settings": world.settings, **world.store.dump()}
    close_app(app)
    return content


def test_options_become_settings_and_faults_of_the_directory(tmp_path: Path) -> None:
    prepare(
        tmp_path,
        wanted(
            seed="7",
            speed=20.0,
            list_lag="5s",
            rate=30.0,
            latency="1ms..2ms",
            faults=("503:share=0.5",),
            assignments=("second_delete=204", "path-lag-s=500ms"),
        ),
    )
    found = opened(tmp_path)
    settings = found["settings"]
    assert (found["seed"], settings.speed, settings.requests_per_minute) == ("7", 20, 30)
    assert (settings.list_lag_s, settings.path_lag_s, settings.second_delete) == (5, 0.5, 204)
    assert len(found["faults"]) == 2


def test_what_is_not_said_stays_as_it_was(tmp_path: Path) -> None:
    prepare(tmp_path, wanted(speed=20.0, faults=("500", "503")))
    prepare(tmp_path, wanted(rate=30.0))
    found = opened(tmp_path)
    assert (found["settings"].speed, len(found["faults"])) == (20, 2)
    prepare(tmp_path, wanted(faults=("500",)))
    assert len(opened(tmp_path)["faults"]) == 1


def test_another_seed_needs_another_directory(tmp_path: Path) -> None:
    prepare(tmp_path, wanted(seed="7"))
    prepare(tmp_path, wanted(seed="7"))
    use(tmp_path)
    with pytest.raises(click.ClickException, match="another seed"):
        prepare(tmp_path, wanted(seed="8", rate=30.0))
    # What is refused changes nothing, and what it advises to do helps.
    found = opened(tmp_path)
    assert (found["settings"].seed, found["settings"].requests_per_minute) == ("7", None)
    forget(tmp_path)
    prepare(tmp_path, wanted(seed="8"))
    assert (opened(tmp_path)["seed"], opened(tmp_path)["settings"].seed) == ("8", "8")


@pytest.mark.parametrize(
    "options",
    [
        {"speed": 0.0},
        {"rate": -1.0},
        {"rate": 0.0},
        {"list_lag": "soon"},
        {"latency": "2s..1s"},
        {"faults": ("9",)},
        {"assignments": ("colour=red",)},
        {"assignments": ("speed",)},
    ],
)
def test_option_that_cannot_be_is_one_line_and_changes_nothing(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(click.ClickException) as caught:
        prepare(tmp_path / "new", wanted(**options))
    assert "\n" not in caught.value.format_message()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"speed": 0}', b"\xff", b'{"colour": 1}'])
def test_damaged_settings_are_told_with_a_way_out(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "settings.json").write_bytes(content)
    with pytest.raises(PlanError) as caught:
        prepare(tmp_path, wanted())
    assert "settings.json" in str(caught.value)
    assert "delete it" in (caught.value.diagnostics[0].hint or "")


@pytest.mark.parametrize("content", [b"x" * 5000, b"SQLite format 3\0" + b"\xff" * 9000])
def test_damaged_database_is_told_with_a_way_out(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sandbox.sqlite").write_bytes(content)
    with pytest.raises(PlanError) as caught:
        prepare(tmp_path, wanted())
    assert "shplan sandbox reset" in (caught.value.diagnostics[0].hint or "")
