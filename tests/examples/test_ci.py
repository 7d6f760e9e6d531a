"""The repository with CI: its own scripts, run in a scratch repository as a runner runs them."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from shplan.sandbox.app import close_app, create_app
from shplan.sandbox.clock import SystemClock
from tests.support.cogs import write_tile
from tests.support.program import shplan

ROOT = Path(__file__).parents[2]
CI = ROOT / "examples" / "ci"
SCRIPTS = sorted((CI / "scripts").glob("*.sh"))
WORKFLOWS = [*sorted((CI / ".github" / "workflows").glob("*.yml")), CI / ".gitlab-ci.yml"]
TILE = '    - {path: 2025/06/11, sensingTime: "2025-06-11T10:00:00Z"}\n'

pytestmark = pytest.mark.skipif(os.name == "nt", reason="scripts for a POSIX shell")


@dataclass
class Done:
    code: int
    out: str
    err: str


@dataclass
class Runner:
    """A runner of one's own: a checkout that stays, a directory for plans, programs of a test."""

    home: Path
    environment: dict[str, str]

    @property
    def artifacts(self) -> Path:
        return self.home.parent / "artifacts"

    def run(self, *command: str, code: int | None = 0, **more: str) -> Done:
        done = subprocess.run(
            command,
            cwd=self.home,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert code is None or done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
        return Done(done.returncode, done.stdout, done.stderr)

    def script(self, name: str, *arguments: str, code: int = 0, **more: str) -> Done:
        return self.run("sh", f"scripts/{name}.sh", *arguments, code=code, **more)

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).out.strip()

    def edit(self, old: str, new: str, *, message: str, name: str = "fields") -> None:
        path = self.home / "manifests" / f"{name}.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        self.git("commit", "--quiet", "--all", "--message", message)

    def text(self, name: str) -> str:
        return (self.home / name).read_text()

    # What the workflows do between the scripts, with a directory in the place of the host.
    def keep_plan(self) -> str:
        commit = self.git("rev-parse", "HEAD")
        self.artifacts.mkdir(exist_ok=True)
        shutil.move(self.home / "plan.json", self.artifacts / f"{commit}.json")
        return commit

    def fetch_plan(self) -> None:
        commit = self.script("reviewed_commit").out.strip()
        shutil.copy(self.artifacts / f"{commit}.json", self.home / "plan.json")

    def propose(self) -> None:
        """Open a pull request: checked, planned, its plan kept."""
        self.script("check")
        self.script("plan")
        self.keep_plan()
        self.git("checkout", "--quiet", "main")

    def merge(self, branch: str, *how: str) -> None:
        self.git("merge", "--quiet", *(how or ("--no-ff", "--no-edit")), branch)

    def branch(self, name: str) -> None:
        self.git("checkout", "--quiet", "-b", name, "main")


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    programs = tmp_path / "bin"
    programs.mkdir()
    command = programs / "shplan"
    command.write_text(f'#!/bin/sh\nexec {shlex.join(shplan())} "$@"\n')
    command.chmod(0o755)
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "CI": "true",
        "SHPLAN_ENVIRONMENT": "sandbox",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))
        },
    }
    home = tmp_path / "farm"
    shutil.copytree(CI, home, ignore=shutil.ignore_patterns(".shplan", ".venv", "*.json", "*.md"))
    for day in ("01", "11"):
        write_tile(home / ".shplan" / "sandbox" / "buckets", "acme-fields", f"2025/06/{day}")
    # A tile of this resolution costs as much, and has 36 times fewer pixels that nobody looks at.
    job = home / "manifests" / "ndvi.yaml"
    assert "resolution: 10}" in job.read_text()
    job.write_text(job.read_text().replace("resolution: 10}", "resolution: 60}"))
    made = Runner(home, environment)
    made.git("init", "--quiet", "--initial-branch", "main")
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "The farm")
    made.git("clone", "--quiet", "--bare", ".", "../origin.git")
    made.git("remote", "add", "origin", "../origin.git")
    return made


def test_from_a_branch_to_the_server_and_nothing_is_left(runner: Runner) -> None:
    runner.branch("season")
    runner.edit('2025-06-01T10:00:00Z"}\n', '2025-06-01T10:00:00Z"}\n' + TILE, message="More")
    runner.propose()
    planned = runner.text("plan.md")
    assert planned.startswith("## Plan for `farm`: 3 of 4 resources change\n")
    assert "+   2025/06/11\n" in planned
    assert planned in (runner.home.parent / "summary.md").read_text()
    assert not (runner.home.parent / "shplan-ledger").exists(), "a plan writes nothing"

    runner.merge("season")
    runner.fetch_plan()
    runner.script("apply")
    assert runner.text("applied.md").startswith("## Done: `farm` on `sandbox`\n\n2 created, 1 run;")
    assert (runner.home.parent / "shplan-ledger" / "sandbox").is_dir()
    again = runner.script("apply")
    assert "nothing changed; 0 PU spent" in runner.text("applied.md")
    assert again.err == ""

    runner.script("drift")
    assert runner.text("drift.md").startswith("## Drift of `farm`: no changes\n")
    assert "- **Drifted**: 0 of 4 resources\n" in runner.text("drift.md")
    runner.script("plan")
    assert runner.text("plan.md").startswith("## Plan for `farm`: no changes\n")
    assert runner.git("status", "--porcelain") == "", "what the scripts write is ignored"


@pytest.mark.slow
def test_a_main_that_changed_in_between_is_refused_with_four_and_named(runner: Runner) -> None:
    runner.branch("season")
    runner.edit('2025-06-01T10:00:00Z"}\n', '2025-06-01T10:00:00Z"}\n' + TILE, message="More")
    runner.propose()
    runner.edit("Field imagery", "Imagery of fields", message="Somebody else was quicker")
    runner.merge("season")
    runner.fetch_plan()
    said = runner.script("apply", code=4)
    assert "ByocCollection/fields: its request is another one now" in said.err
    assert "Plan anew: run this by hand." in said.err
    verified = runner.run("shplan", "ledger", "verify").out
    assert verified.startswith("Intact: "), verified

    # The way on: main is planned anew, reviewed, and applied.
    runner.script("plan")
    assert "3 of 4 resources change" in runner.text("plan.md"), "nothing had been sent"
    runner.script("apply")
    runner.script("drift")


@pytest.mark.slow
def test_what_a_plan_of_another_branch_would_do_is_not_done(runner: Runner) -> None:
    """Two pull requests, both planned from the same main: the second is planned again."""
    runner.script("plan")
    runner.script("apply")
    for branch, name in (("first", "First"), ("second", "Second")):
        runner.branch(branch)
        runner.edit("Field imagery", name, message=name)
        runner.propose()
    runner.merge("first")
    runner.fetch_plan()
    runner.script("apply")
    runner.run("git", "merge", "--quiet", "--no-ff", "--no-edit", "-X", "theirs", "second")
    runner.fetch_plan()
    # The same request as was reviewed, whatever the name was before: it holds.
    runner.script("apply")
    runner.script("plan")
    assert "no changes" in runner.text("plan.md")


def test_a_job_shows_its_price_in_the_pull_request_and_runs_once(runner: Runner) -> None:
    runner.script("plan")
    assert "- **Costs** 100 PU: `BatchProcess/ndvi[2025-06]`\n" in runner.text("plan.md")
    runner.script("apply")
    runner.branch("july")
    runner.edit('["2025-06"]', '["2025-06", "2025-07"]', message="July", name="ndvi")
    runner.propose()
    planned = runner.text("plan.md")
    assert "- **Cost**: 100 PU\n" in planned
    assert "ndvi[2025-06]" not in planned, "what ran is not paid again"
    runner.merge("july")
    runner.fetch_plan()
    runner.script("apply")
    assert "1 run; 100 PU spent" in runner.text("applied.md")
    runner.script("apply")
    assert "nothing changed; 0 PU spent" in runner.text("applied.md")


def test_receipts_are_pushed_also_where_somebody_has_merged_meanwhile(runner: Runner) -> None:
    runner.script("plan")
    other = runner.home.parent / "other"
    runner.git("clone", "--quiet", "../origin.git", str(other))
    runner.git("-C", str(other), "commit", "--quiet", "--allow-empty", "--message", "Meanwhile")
    runner.git("-C", str(other), "push", "--quiet")
    runner.script("apply")
    log = runner.git("--git-dir", "../origin.git", "log", "--format=%s", "main").splitlines()
    assert log == ["Receipts [skip ci]", "Meanwhile", "The farm"]
    (receipt,) = runner.git(
        "--git-dir", "../origin.git", "ls-tree", "-r", "--name-only", "main", "receipts/"
    ).splitlines()
    assert receipt.startswith("receipts/sandbox/BatchProcess/ndvi[2025-06]/")

    # In a fresh checkout, with the ledger lost, what was paid for is not asked again.
    shutil.rmtree(runner.home.parent / "shplan-ledger")
    runner.script("plan")
    assert "Costs" not in runner.text("plan.md")
    runner.script("receipts")
    assert runner.git("rev-parse", "HEAD") == runner.git("rev-parse", "origin/main")


def test_receipts_that_cannot_be_pushed_fail_nothing(runner: Runner) -> None:
    runner.git("remote", "set-url", "origin", "../nowhere.git")
    runner.script("plan")
    said = runner.script("apply")
    assert "The receipts are not pushed; the next apply writes them again." in said.err


def test_a_job_over_its_limit_fails_the_pull_request(runner: Runner) -> None:
    runner.edit("maxPu: 200", "maxPu: 99", message="A low limit", name="ndvi")
    runner.script("plan", code=5)
    assert "error[run/max-pu]" in runner.text("plan.md")


def test_what_is_refused_fails_the_pull_request_and_is_still_shown(runner: Runner) -> None:
    runner.script("plan")
    runner.script("apply")
    runner.branch("gone")
    (runner.home / "manifests" / "fields.yaml").unlink()
    runner.script("plan", code=5)
    assert "error[plan/prevent-destroy]" in runner.text("plan.md")
    assert "**Deletes** `ByocCollection/fields`" in runner.text("plan.md")
    said = runner.script("apply", code=5)
    assert "a policy, the budget or a protection refused" in said.err


def test_a_wrong_manifest_fails_the_check_and_leaves_no_old_plan(runner: Runner) -> None:
    runner.script("plan")
    runner.edit("s3Bucket", "s3Buckett", message="A typing error")
    assert "s3Bucket" in runner.script("check", code=1).err
    runner.script("plan", code=1)
    assert not (runner.home / "plan.json").exists()


def test_drift_is_found_and_named(runner: Runner) -> None:
    runner.script("plan")
    runner.script("apply")
    asyncio.run(rename(runner.home / ".shplan" / "sandbox", "Renamed in the dashboard"))
    said = runner.script("drift", code=2)
    assert "Somebody changed the server" in said.err
    assert '- name: "Renamed in the dashboard"' in runner.text("drift.md")
    assert "## Drift of `farm`: 1 of 4 resources changed\n" in runner.text("drift.md")


def test_a_cut_ledger_is_found_by_the_drift_check(runner: Runner) -> None:
    runner.script("plan")
    runner.script("apply")
    (journal, *_) = [
        path
        for path in sorted((runner.home.parent / "shplan-ledger" / "sandbox").rglob("*"))
        if path.is_file() and path.read_bytes().count(b"\n") > 3
    ]
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    runner.script("drift", code=1)


async def rename(data: Path, name: str) -> None:
    """Change the collection as somebody does in the dashboard."""
    app = create_app(data, clock=SystemClock())
    form = {"grant_type": "client_credentials", "client_id": "sandbox", "client_secret": "sandbox"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        token = (await client.post("/oauth/token", data=form)).raise_for_status().json()
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        listed = (await client.get("/byoc/v1/collections", headers=headers)).json()["data"]
        (one,) = listed
        body = {"name": name, "s3Bucket": one["s3Bucket"], "noData": 0}
        done = await client.put(f"/byoc/v1/collections/{one['id']}", json=body, headers=headers)
        done.raise_for_status()
    close_app(app)


@pytest.mark.parametrize("how", [("--no-ff", "--no-edit"), ("--ff-only",)])
def test_the_reviewed_commit_is_the_branch_that_was_merged(
    runner: Runner, how: tuple[str, ...]
) -> None:
    runner.branch("season")
    runner.edit("Field imagery", "Fields", message="Another name")
    branch = runner.git("rev-parse", "HEAD")
    runner.git("checkout", "--quiet", "main")
    runner.merge("season", *how)
    assert runner.script("reviewed_commit").out.strip() == branch


def program(runner: Runner, name: str, text: str) -> None:
    """Put a program of the host in reach, which says what it was asked."""
    path = runner.home.parent / "bin" / name
    path.write_text(f'#!/bin/sh\necho "$*" >> ../asked.txt\n{text}\n')
    path.chmod(0o755)


def test_a_plan_is_fetched_from_github_by_the_reviewed_commit(runner: Runner) -> None:
    commit = runner.git("rev-parse", "HEAD")
    program(runner, "gh", 'if [ "$1" = api ]; then echo 42; else echo "{}" > plan.json; fi')
    runner.script("fetch_github", GITHUB_REPOSITORY="acme/farm", GH_TOKEN="-")
    asked = (runner.home.parent / "asked.txt").read_text().splitlines()
    assert asked[0].startswith(f"api repos/acme/farm/actions/artifacts?name=plan-{commit} --jq ")
    assert asked[1] == f"run download 42 --repo acme/farm --name plan-{commit}"


def test_without_a_plan_on_github_it_leaves_with_four(runner: Runner) -> None:
    program(runner, "gh", "exit 0")
    said = runner.script("fetch_github", code=4, GITHUB_REPOSITORY="acme/farm", GH_TOKEN="-")
    assert "what was merged was never planned" in said.err


GITLAB = {"CI_API_V4_URL": "https://git/api/v4", "CI_PROJECT_ID": "7", "CI_JOB_TOKEN": "-"}


def test_a_plan_is_kept_on_gitlab_and_fetched_from_there(runner: Runner) -> None:
    commit = runner.git("rev-parse", "HEAD")
    program(runner, "curl", "exit 0")
    runner.script("keep_gitlab", CI_COMMIT_SHA=commit, **GITLAB)
    merged = {"CI_COMMIT_SHA": "0" * 40, "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": commit}
    runner.script("keep_gitlab", **merged, **GITLAB)
    runner.script("fetch_gitlab", **GITLAB)
    asked = (runner.home.parent / "asked.txt").read_text().splitlines()
    urls = {line.split()[-1] for line in asked}
    place = "https://git/api/v4/projects/7/packages/generic"
    assert urls == {f"{place}/shplan-plan/{commit}/plan.json"}


def test_without_a_plan_on_gitlab_it_leaves_with_four(runner: Runner) -> None:
    program(runner, "curl", "exit 22")
    said = runner.script("fetch_gitlab", code=4, **GITLAB)
    assert "what was merged was never planned" in said.err


# The files of both hosts, read and not run.


def strings(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [text for key, value in node.items() for text in (str(key), *strings(value))]
    if isinstance(node, list):
        return [text for one in node for text in strings(one)]
    return [str(node)]


def variables(node: Any) -> list[tuple[str, str]]:
    """Every variable that a file sets, with its value."""
    if isinstance(node, list):
        return [pair for one in node for pair in variables(one)]
    if not isinstance(node, dict):
        return []
    own = [
        (str(name), str(value))
        for block in ("env", "variables")
        for name, value in (node.get(block) or {}).items()
    ]
    return own + [pair for value in node.values() for pair in variables(value)]


def called(path: Path) -> set[str]:
    text = "\n".join(strings(yaml.safe_load(path.read_text())))
    return set(re.findall(r"\bsh (scripts/\S+\.sh)\b", text))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_script_that_is_called_exists(path: Path) -> None:
    assert called(path)
    assert {name for name in called(path) if not (CI / name).is_file()} == set()


def test_every_script_is_called() -> None:
    from_files = {name for path in WORKFLOWS for name in called(path)}
    from_scripts = {
        name
        for path in SCRIPTS
        for name in re.findall(r"\bsh (scripts/\S+\.sh)\b", path.read_text())
    }
    assert from_files | from_scripts == {f"scripts/{path.name}" for path in SCRIPTS}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_secret_is_written(path: Path) -> None:
    """Whatever sounds like a secret comes from the host, and everything that is set is known."""
    found = variables(yaml.safe_load(path.read_text()))
    for name, value in found:
        if re.search("SECRET|TOKEN|KEY|PASSWORD|CLIENT", name):
            assert re.fullmatch(r"\$\{\{ (secrets\.[A-Z_]+|github\.token) \}\}", value), name
    assert {name for name, _ in found} <= {
        "SHPLAN_ENVIRONMENT",
        "SH_CLIENT_ID",
        "SH_CLIENT_SECRET",
        "GH_TOKEN",
    }
    assert not re.search(r"[A-Za-z0-9+/_-]{32,}", path.read_text())


def test_nobody_writes_into_a_shell_what_a_stranger_typed() -> None:
    """Titles and names of branches are a stranger's; only numbers and outputs of ours are put in."""
    for path in WORKFLOWS[:-1]:
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            for step in job["steps"]:
                put_in = set(re.findall(r"\$\{\{ (.*?) \}\}", step.get("run", "")))
                assert put_in <= {"github.event.number"}


def test_applies_wait_for_each_other_and_for_a_person() -> None:
    apply = yaml.safe_load((CI / ".github" / "workflows" / "apply.yml").read_text())
    assert apply["concurrency"]["cancel-in-progress"] is False
    assert apply["jobs"]["apply"]["environment"] == "production"
    gitlab = yaml.safe_load((CI / ".gitlab-ci.yml").read_text())
    for name in ("apply", "apply again"):
        assert gitlab[name]["resource_group"] == "production"
        assert gitlab[name]["rules"][0]["when"] == "manual"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_stops_at_the_first_error(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0] == "#!/bin/sh"
    assert "set -eu" in lines
    subprocess.run(["sh", "-n", path], check=True)
