"""How programs are told where a sandbox is: every form can be used as it is printed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import shplan
from shplan.sandbox.address import Address, url

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(shplan.__file__).parents[1])}


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::1", "http://[::1]:8080"),
    ],
)
def test_an_address_that_can_be_reached(host: str, base: str) -> None:
    assert url(8080, host=host) == base


def test_the_profile_has_only_keys_that_the_client_knows() -> None:
    """`sentinelhub` fails on any other."""
    from sentinelhub import SHConfig

    address = Address("http://127.0.0.1:1")
    config = SHConfig(use_defaults=True, **tomllib.loads(address.as_toml())["sandbox"])
    assert config.sh_base_url == address.base_url
    assert config.sh_token_url == address.token_url


@pytest.mark.skipif(shutil.which("sh") is None, reason="there is no shell")
def test_a_shell_reads_the_lines() -> None:
    address = Address("http://127.0.0.1:1", "http://127.0.0.1:2")
    script = f"{address.as_env()}\n'{sys.executable}' -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert address.environment().items() <= json.loads(done.stdout).items()


def test_without_buckets_no_client_of_s3_is_led_astray() -> None:
    assert not any(name.startswith("AWS_") for name in Address("http://h:1").environment())


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Any]:
    processes = []

    def start(*options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "shplan", "sandbox", "serve", "--port", "0"]
        process = subprocess.Popen(
            [*command, "--data", str(tmp_path / "data"), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.terminate()
        process.communicate(timeout=10)


def test_served_for_people_it_says_all_they_need(started: Any) -> None:
    process = started("--s3-port", "0")
    out = [process.stdout.readline() for _ in range(14)]
    profile = tomllib.loads("".join(out[:5]))["sandbox"]
    said = dict(line.removeprefix("export ").strip().split("=", 1) for line in out[5:])
    assert said == Address(profile["sh_base_url"], said["AWS_ENDPOINT_URL"]).environment()
    process.terminate()
    _, err = process.communicate(timeout=10)
    assert 'define_from("S2_SANDBOX", service_url=config.sh_base_url)' in err
    assert "config.toml" in err
    assert "shplan sandbox seed --data" in err


def test_served_for_a_program_stdout_is_one_line_of_json(started: Any) -> None:
    process = started("--format", "json")
    told = json.loads(process.stdout.readline())
    assert told["profile"]["sh_base_url"] == told["base_url"]
    assert told["s3_url"] is None
    process.terminate()
    out, _ = process.communicate(timeout=10)
    assert out == ""
