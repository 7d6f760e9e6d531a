"""The fixture for tests of other programs, as its users have it, and the page that explains it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import shplan
from shplan.sandbox.settings import SettingsError
from shplan.sandbox.testing import Sandbox

pytest_plugins = ["shplan.sandbox.testing"]

PAGE = Path(shplan.__file__).parents[1] / "docs" / "sandbox.md"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(shplan.__file__).parents[1])}


def examples() -> dict[str, str]:
    found = re.findall(
        r"<!-- example: (\S+) -->\n```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S
    )
    return dict(found)


def python(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # A user who makes warnings errors has a fixture that gives none.
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(
        command, cwd=home, env=ENVIRONMENT, capture_output=True, text=True, timeout=100
    )


def test_the_example_test_of_the_page_passes(tmp_path: Path) -> None:
    """With the unmodified `sentinelhub`, in a project that has nothing of ours."""
    (tmp_path / "test_inventory.py").write_text(examples()["test_inventory.py"])
    done = python(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_class_of_the_page_works_without_pytest(tmp_path: Path) -> None:
    program = "import sys; sys.modules['pytest'] = None\n" + examples()["once.py"]
    done = python(tmp_path, "-c", program)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+ 50000(\.0)?\n", done.stdout)


def test_what_it_says_of_itself_can_be_used(sandbox: Sandbox) -> None:
    config = sandbox.sh_config(max_download_attempts=1)
    assert config.max_download_attempts == 1
    assert (config.sh_base_url, config.sh_token_url) == (sandbox.base_url, sandbox.token_url)
    assert (config.sh_client_id, config.sh_client_secret) == ("sandbox", "sandbox")
    assert sandbox.env["AWS_ENDPOINT_URL"] == sandbox.s3_url
    assert os.environ["OAUTHLIB_INSECURE_TRANSPORT"] == "1"
    (sandbox.buckets / "mine").mkdir()
    with urllib.request.urlopen(sandbox.s3_url) as answer:
        assert b"<Name>mine</Name>" in answer.read()


def test_every_test_begins_with_the_same_identifiers(sandbox: Sandbox) -> None:
    with Sandbox() as other:
        assert other.base_url != sandbox.base_url
        assert other.seed()["collection_id"] == sandbox.seed()["collection_id"]


@pytest.mark.parametrize("sandbox", [{"stopped": True, "waiting_s": 7}], indirect=True)
def test_arguments_are_handed_on_and_time_stands_still(sandbox: Sandbox) -> None:
    assert sandbox.settings()["waiting_s"] == 7
    begin = sandbox.control("GET", "instance")["now"]
    assert begin == "2025-01-01T00:00:00.000Z"
    sandbox.tick(90)
    assert sandbox.control("GET", "instance")["now"] == "2025-01-01T00:01:30.000Z"


def test_a_reset_leaves_the_client_of_a_test_usable(sandbox: Sandbox) -> None:
    """`sentinelhub` keeps its tokens; those of before the reset count no more."""
    from sentinelhub import SentinelHubBYOC

    sandbox.seed()
    assert len(list(SentinelHubBYOC(config=sandbox.sh_config()).iter_collections())) == 1
    sandbox.fault("500")
    sandbox.reset()
    assert list(SentinelHubBYOC(config=sandbox.sh_config()).iter_collections()) == []
    assert sandbox.meter() == 0


def test_wrong_settings_are_refused_where_they_stand() -> None:
    with pytest.raises(SettingsError, match="wating_s"):
        Sandbox(wating_s=3)


def test_what_the_sandbox_refuses_is_told_as_it_says_it(sandbox: Sandbox) -> None:
    with pytest.raises(urllib.error.HTTPError, match="did you mean waiting_s") as caught:
        sandbox.settings(wating_s=3)
    assert b"COMMON_BAD_PAYLOAD" in caught.value.read()


def test_outside_of_with_it_says_so() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        _ = Sandbox().base_url


def test_the_environment_and_the_directory_are_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OAUTHLIB_INSECURE_TRANSPORT", raising=False)
    with Sandbox() as sandbox:
        data, base = sandbox.data, sandbox.base_url
        assert data.is_dir()
    assert not data.exists()
    assert "OAUTHLIB_INSECURE_TRANSPORT" not in os.environ
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(base)


def test_a_directory_that_is_given_keeps_its_state(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        first = sandbox.seed()
    with Sandbox(tmp_path) as sandbox:
        assert sandbox.seed() == first


def test_what_cannot_start_says_why(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sandbox.sqlite").write_bytes(b"no database at all" * 1000)
    with pytest.raises(RuntimeError, match="did not start"), Sandbox(tmp_path):
        pass
    assert "file is not a database" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_it_ends_with_a_test_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from shplan.sandbox.testing import Sandbox\n"
        "with Sandbox(Path(sys.argv[1])) as sandbox:\n"
        "    print(sandbox.base_url, flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        base = process.stdout.readline().strip()
        urllib.request.urlopen(f"{base}/_sandbox/instance").close()
        process.send_signal(signal.SIGKILL)
    for _ in range(200):
        try:
            urllib.request.urlopen(f"{base}/_sandbox/instance").close()
        except OSError:  # refused, or cut while it asked
            return
        time.sleep(0.05)
    raise AssertionError("the sandbox outlives the test that started it")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_one_that_is_killed_leaves_what_it_acknowledged_to_the_next(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        made = sandbox.seed()
        os.kill(sandbox.pid, 0)
        sandbox.kill()
        with pytest.raises(OSError):  # refused, or cut while it asked
            sandbox.seed()
    with pytest.raises(RuntimeError, match="not open"):
        sandbox.kill()
    with Sandbox(tmp_path) as sandbox:
        assert sandbox.seed() == made
