"""What a person types, what they read, and how the program leaves."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import Project


def test_apply_then_plan_says_no_changes(project: Project) -> None:
    assert project.run("plan", "--detailed-exitcode").code == 2
    applied = project.run("apply", "--auto-approve")
    assert (applied.code, applied.out.splitlines()[-1]) == (0, "Done: 2 created; 3 PU spent.")
    again = project.run("plan", "--detailed-exitcode")
    assert (again.code, again.out) == (
        0,
        "No changes. 2 resources and 2 tiles are as declared.\n",
    )


def test_plan_and_status_write_nothing(project: Project) -> None:
    project.run("apply", "--auto-approve")
    ledger = project.root / ".shplan" / "ledger" / "sandbox"
    before = {path: path.read_bytes() for path in ledger.iterdir() if path.is_file()}
    project.replace("Field imagery", "Fields")
    assert project.run("plan").code == 0
    assert project.run("status").code == 0
    assert {path: path.read_bytes() for path in ledger.iterdir() if path.is_file()} == before


def test_apply_without_a_terminal_and_without_approval_sends_nothing(project: Project) -> None:
    said = project.run("apply")
    assert said.code == 1
    assert "error[cli/no-terminal]" in said.err
    assert "--auto-approve" in said.err
    assert not (project.root / ".shplan" / "ledger").exists()


def test_a_wrong_manifest_is_never_sent(project: Project) -> None:
    project.replace("s3Bucket: fields", "s3bucket: fields")
    for command in (("validate",), ("plan",), ("apply", "--auto-approve")):
        said = project.run(*command)
        assert said.code == 1
        assert "manifests/fields.yaml:4:" in said.err
        assert "s3Bucket" in said.err
    assert not (project.root / ".shplan" / "ledger").exists()


def test_destroy_deletes_dependents_first_and_leaves_nothing(project: Project) -> None:
    project.run("apply", "--auto-approve")
    said = project.run("destroy", "--auto-approve")
    assert said.code == 0
    assert "2 tiles deleted with it" in said.out
    assert said.out.splitlines()[-1] == "Done: 2 deleted; 1 PU spent."
    assert project.run("plan", "--detailed-exitcode", "--destroy").out.startswith("No changes.")


def test_a_protection_refuses_with_five(project: Project) -> None:
    project.replace(
        "metadata: {name: fields}\nspec: {name: Field",
        "metadata: {name: fields, lifecycle: {preventDestroy: true}}\nspec: {name: Field",
    )
    project.run("apply", "--auto-approve")
    for command in (("destroy", "--auto-approve"), ("plan", "--destroy")):
        said = project.run(*command)
        assert said.code == 5
        assert "preventDestroy" in said.out


def test_a_saved_plan_is_applied_as_reviewed_and_resumes(project: Project) -> None:
    assert project.run("plan", "-o", "plan.json").code == 0
    assert "apply" in project.run("show", "plan.json").out
    assert project.run("apply", "plan.json").code == 0
    assert project.run("apply", "plan.json").code == 0
    assert project.run("plan", "--detailed-exitcode").code == 0


def test_a_stale_plan_is_refused_with_four_and_names_what_moved(project: Project) -> None:
    project.run("plan", "-o", "plan.json")
    project.replace("Field imagery", "Fields")
    said = project.run("apply", "plan.json")
    assert said.code == 4
    assert "ByocCollection/fields: its request is another one now" in said.err


def test_a_tampered_plan_is_refused_with_four(project: Project) -> None:
    project.run("plan", "-o", "plan.json")
    plan = Path("plan.json")
    plan.write_text(plan.read_text().replace('"s3Bucket": "fields"', '"s3Bucket": "stolen"'))
    said = project.run("apply", "plan.json")
    assert said.code == 4
    assert "plan/tampered" in said.err


def test_a_saved_plan_takes_no_other_variables(project: Project) -> None:
    project.run("plan", "-o", "plan.json")
    said = project.run("apply", "plan.json", "--var", "a=b")
    assert said.code == 1
    assert "brings its own environment" in said.err


def test_what_is_no_plan_is_said_so(project: Project) -> None:
    Path("plan.json").write_text('{"hello": 1}')
    said = project.run("apply", "plan.json")
    assert said.code == 1
    assert "plan/not-a-plan" in said.err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("ouptut",), "did you mean `shplan output`?"),
        (("plan", "--selekt", "x"), "--select"),
        (("plan", "--select", "ByocCollection/feilds"), "did you mean ByocCollection/fields?"),
        (("why", "ByocTiles/field"), "did you mean ByocTiles/fields?"),
        (("show", "ByocTile/fields"), "did you mean ByocTiles/fields?"),
        (("output", "colection"), "did you mean collection?"),
        (("import", "fields", "x"), "write Kind/name"),
        (("plan", "-e", "sandbx"), "sandbox"),
        (("plan", "--var", "nonsense"), "write --var NAME=VALUE"),
        (("plan", "--var", "year=1"), "year"),
        (("schema", "Byoccollection"), "ByocCollection"),
        (("apply", "--lock-timeout", "soon"), "write 90s, 5m or 1h30m"),
    ],
)
def test_wrong_usage_leaves_with_one_and_the_nearest_name(
    project: Project, arguments: tuple[str, ...], hint: str
) -> None:
    said = project.run(*arguments)
    assert said.code == 1
    assert hint in said.err
    assert "Traceback" not in said.err


def test_without_a_project_the_next_step_is_init(run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = run("plan")
    assert said.code == 1
    assert "shplan init" in said.err


def test_a_damaged_ledger_is_refused_and_recovered(project: Project) -> None:
    project.run("apply", "--auto-approve")
    assert project.run("ledger", "verify").code == 0
    journal = project.root / ".shplan" / "ledger" / "sandbox" / "00000000.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    verified = project.run("ledger", "verify")
    assert verified.code == 1
    assert "shplan ledger recover" in verified.out
    refused = project.run("plan")
    assert refused.code == 1
    assert "ledger" in refused.err
    assert project.run("ledger", "recover").code == 0
    assert project.run("apply", "--auto-approve").code == 0
    assert project.run("plan", "--detailed-exitcode").code == 0


def test_a_held_ledger_leaves_with_six(project: Project) -> None:
    import asyncio

    from shplan.cli.clock import SystemClock
    from shplan.ledger.backends.directory import DirectoryBackend
    from shplan.ledger.journal import Journal

    home = project.root / ".shplan" / "ledger" / "sandbox"
    other = Journal(DirectoryBackend(home), clock=SystemClock(), actor={"user": "bob"})
    lease = other.lease(timeout_s=0)
    asyncio.run(lease.__aenter__())
    try:
        said = project.run("apply", "--auto-approve")
        patient = project.run("apply", "--auto-approve", "--lock-timeout", "1s")
        shown = [project.run("status"), project.run("ledger", "show")]
    finally:
        asyncio.run(lease.__aexit__(None, None, None))
    assert said.code == 6
    assert f"is held by process {os.getpid()} of bob" in said.err
    assert "waiting for the ledger" not in said.err
    assert patient.code == 6
    waiting = f"waiting for the ledger, at most 1 s: it is held by process {os.getpid()} of bob"
    assert patient.err.count(waiting) == 1
    for one in shown:
        assert one.code == 0
        assert f"held by process {os.getpid()} of bob" in one.err
    assert "held by" not in project.run("status").err


def test_import_confirms_what_was_adopted(project: Project) -> None:
    project.run("apply", "--auto-approve")
    found = project.run("output", "collection").out.strip()
    ledger = project.root / ".shplan" / "ledger"
    ledger.rename(project.root / "lost")
    adopted = project.run("apply", "--auto-approve")
    assert adopted.code == 0
    refused = project.run("destroy", "--auto-approve")
    assert refused.code == 3
    assert "shplan import" in refused.out
    assert project.run("import", "ByocCollection/fields", found).code == 0
    assert project.run("import", "ByocTiles/fields", found).code == 0
    assert project.run("destroy", "--auto-approve").code == 0


def test_an_output_of_several_values_says_which_are_known_after_apply(project: Project) -> None:
    told = "{id: \"{{ ref('ByocCollection/fields').id }}\", year: 2025, none: null}"
    file = project.root / "shplan.yaml"
    file.write_text(file.read_text().replace("outputs: {", f"outputs: {{several: {told}, "))
    said = project.run("output").out
    assert 'several = {"id":"(known after apply)","none":null,"year":2025}' in said


def test_json_goes_to_stdout_as_one_document(project: Project) -> None:
    planned = json.loads(project.run("plan", "--format", "json").out)
    assert planned["format"] == 1
    assert [change["address"] for change in planned["changes"]] == [
        "ByocCollection/fields",
        "ByocTiles/fields",
    ]
    applied = json.loads(project.run("apply", "--auto-approve", "--format", "json").out)
    assert {result["ending"] for result in applied["results"]} == {"done"}
    status = json.loads(project.run("status", "--format", "json").out)
    assert {one["state"] for one in status} == {"up to date"}
    entries = json.loads(project.run("ledger", "show", "--format", "json").out)
    assert [entry["sequence"] for entry in entries] == list(range(len(entries)))


def test_markdown_is_one_document_for_a_pull_request(project: Project) -> None:
    planned = project.run("plan", "--format", "markdown", "-o", "plan.json", "--detailed-exitcode")
    assert planned.code == 2
    assert planned.out.startswith("## Plan for `demo`: 2 of 2 resources change\n")
    assert "```sh\nshplan apply plan.json\n```" in planned.out
    # A saved plan does not say how many tiles there are that do not change.
    reviewed = planned.out.replace(", of 2 declared", "")
    assert project.run("show", "plan.json", "--format", "markdown").out == reviewed
    applied = project.run("apply", "plan.json", "--format", "markdown")
    assert applied.code == 0
    head = json.loads(project.run("ledger", "verify", "--format", "json").out)["ledgerHead"]
    assert applied.out == (
        f"## Done: `demo` on `sandbox`\n\n2 created; 3 PU spent.\n\nledger head `{head}`\n"
    )
    again = project.run("apply", "--format", "markdown")
    assert again.out.startswith("## Plan for `demo`: no changes\n")
    gone = project.run("destroy", "--auto-approve", "--format", "markdown")
    assert gone.out.startswith("## Done: ")
    assert "delete: " in gone.err


def test_markdown_knows_the_budget(project: Project) -> None:
    (project.root / "shplan.yaml").write_text(
        "apiVersion: shplan/v1\nkind: Project\nmetadata: {name: demo}\nspec:\n"
        "  environments: {sandbox: {deployment: sandbox, budget: {maxPu: 2}}}\n"
    )
    said = project.run("plan", "--format", "markdown")
    assert said.code == 5
    assert "- **Cost**: 3 PU, of a budget of 2 PU (**over**)\n" in said.out
    assert "error[plan/budget]" in said.out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (
            ("status",),
            "plan, show FILE, apply, destroy, byoc check, ledger verify and graph have Markdown",
        ),
        (("validate",), "nothing is written as Markdown here"),
        (("ledger", "show"), "nothing is written as Markdown here"),
        (("show", "ByocTiles/fields"), "only a saved plan is shown as Markdown"),
    ],
)
def test_where_markdown_makes_no_sense_it_is_wrong_usage(
    project: Project, arguments: tuple[str, ...], why: str
) -> None:
    said = project.run(*arguments, "--format", "markdown")
    assert (said.code, said.out) == (1, "")
    assert why in said.err


def test_drift_alone_decides_the_exit_code_of_a_drift_check(project: Project) -> None:
    project.run("apply", "--auto-approve")
    project.replace("Field imagery", "Fields")
    assert project.run("plan", "--detailed-exitcode").code == 2
    assert project.run("plan", "--drift", "--detailed-exitcode").code == 0


def test_planning_twice_gives_the_same_bytes(project: Project) -> None:
    first = project.run("plan", "--format", "json").out
    assert project.run("plan", "--format", "json").out == first


def test_why_names_each_term_of_the_cost(project: Project) -> None:
    said = project.run("why", "ByocTiles/fields")
    assert "2 x 1 PU to create tiles" in said.out


def test_show_resolves_offline(project: Project) -> None:
    body = json.loads(project.run("show", "ByocCollection/fields", "--request").out)
    assert body == {"name": "Field imagery", "s3Bucket": "fields"}


def test_graph_is_made_offline_from_the_manifests_alone(project: Project) -> None:
    before = sorted(project.root.rglob("*"))
    said = project.run("graph")
    assert said.code == 0
    assert 'n1 [label="ByocTiles/fields"];\n  n1 -> n0;' in said.out
    document = json.loads(project.run("graph", "--format", "json").out)
    assert [edge["to"] for edge in document["edges"]] == ["ByocCollection/fields"]
    assert document["nodes"][0]["source"] == "manifests/fields.yaml:3:18"
    assert "n1 --> n0" in project.run("graph", "--format", "markdown").out
    assert sorted(project.root.rglob("*")) == before


def test_graph_takes_a_selection_but_not_one_that_needs_the_server(project: Project) -> None:
    one = json.loads(project.run("graph", "--format", "json", "--select", "ByocTiles/*").out)
    assert ([node["address"] for node in one["nodes"]], one["edges"]) == (["ByocTiles/fields"], [])
    both = project.run("graph", "--format", "json", "--select", "+ByocTiles/fields").out
    assert len(json.loads(both)["nodes"]) == 2
    said = project.run("graph", "--select", "+state:changed")
    assert said.code == 1
    assert "needs the server" in said.err
    assert "did you mean" in project.run("graph", "--select", "ByocTiles/feilds").err


def test_fmt_check_leaves_with_two_and_fmt_mends(project: Project) -> None:
    project.manifest.write_text(
        "spec: {name: A, s3Bucket: fields}\nkind: ByocCollection\napiVersion: shplan/v1\nmetadata: {name: fields}\n"
    )
    assert project.run("fmt", "--check").code == 2
    assert project.run("fmt").code == 0
    assert project.run("fmt", "--check").code == 0


def test_a_pull_request_cannot_send_the_secret_elsewhere(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.root / "shplan.yaml").write_text(
        "apiVersion: shplan/v1\nkind: Project\nmetadata: {name: demo}\nspec:\n"
        "  defaultEnvironment: evil\n  environments:\n"
        "    evil: {baseUrl: https://services.sentinel-hub.com, tokenUrl: https://evil.example/token}\n"
    )
    monkeypatch.setenv("SH_CLIENT_ID", "canary-id")
    monkeypatch.setenv("SH_CLIENT_SECRET", "canary-secret")
    said = project.run("plan")
    assert said.code == 1
    assert "evil.example" in said.err
    assert "canary-secret" not in said.out + said.err


def test_in_ci_an_unnamed_ledger_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.root / "shplan.yaml").write_text(
        "apiVersion: shplan/v1\nkind: Project\nmetadata: {name: demo}\nspec:\n"
        "  defaultEnvironment: near\n  environments:\n"
        "    near: {baseUrl: 'http://127.0.0.1:1', tokenUrl: 'http://127.0.0.1:1/oauth/token'}\n"
    )
    monkeypatch.setenv("CI", "true")
    said = project.run("apply", "--auto-approve")
    assert said.code == 1
    assert "ledger/vanishing" in said.err


def test_a_server_refusal_names_the_line_in_the_manifest(project: Project) -> None:
    """Ingestion of a tile without files fails, and the message underlines that tile."""
    project.replace("path: b", "path: missing")
    said = project.run("apply", "--auto-approve")
    assert said.code == 3
    assert "manifests/fields.yaml:13:" in said.out
    assert "missing: ingestion failed" in said.out
    assert "The same command resumes" in said.out
    again = project.run("plan")
    assert "reingest" in again.out


def test_a_bug_is_said_to_be_one(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    import shplan.cli.status as status

    def broken(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(status.command, "callback", broken)
    said = project.run("status")
    assert said.code == 70
    assert "This is a bug in shplan" in said.err
    assert "Traceback" not in said.err


def test_what_the_operating_system_refuses_is_no_bug(project: Project) -> None:
    (project.root / ".shplan").rename(project.root / "aside")
    (project.root / ".shplan").write_text("")
    said = project.run("plan")
    assert said.code == 1
    assert "error[system/refused]" in said.err
    assert "Not a directory" in said.err


def test_a_plan_that_cannot_be_saved_is_not_made(project: Project) -> None:
    said = project.run("plan", "-o", "nowhere/plan.json")
    assert (said.code, said.out) == (1, "")
    assert "no directory nowhere" in said.err


def test_a_damaged_sandbox_says_so_and_a_reset_mends_it(project: Project) -> None:
    project.run("apply", "--auto-approve")
    database = project.root / ".shplan" / "sandbox" / "sandbox.sqlite"
    database.write_bytes(b"no database" * 500)
    said = project.run("plan")
    assert said.code == 1
    assert "error[sandbox/unreadable]" in said.err
    assert "shplan sandbox reset" in said.err
    assert project.run("sandbox", "reset", "--yes").code == 0
    assert project.run("plan", "--detailed-exitcode").code == 2
    (database.parent / "settings.json").write_text('{"sped": 1}')
    said = project.run("plan")
    assert said.code == 1
    assert "there is no setting 'sped'" in said.err


def test_a_taken_port_is_an_error_and_not_partly_done(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = project.run("sandbox", "serve", "--port", str(port))
        beside = project.run("sandbox", "serve", "--port", "0", "--s3-port", str(port))
    assert said.code == 1
    assert f"cannot listen on 127.0.0.1, port {port}" in said.err
    assert said.err.rstrip().endswith("; --port 0 takes a free one")
    assert beside.code == 1
    assert beside.err.startswith(f"Error: cannot listen on 127.0.0.1, port {port}")
    assert beside.err.rstrip().endswith("; --s3-port 0 takes a free one")


def test_show_has_the_tiles_whatever_table_they_come_from(project: Project) -> None:
    (project.root / "tiles.csv").write_text("path\na\nb\n")
    text = project.manifest.read_text()
    project.manifest.write_text(text[: text.index("  tiles:")] + "  from: {csv: ../tiles.csv}\n")
    for more in ((), ("--request",)):
        shown = json.loads(project.run("show", "ByocTiles/fields", *more).out)
        assert shown.get("spec", shown)["tiles"] == [{"path": "a"}, {"path": "b"}]


def test_the_ledger_of_an_unknown_address_is_not_called_empty(project: Project) -> None:
    project.run("apply", "--auto-approve")
    said = project.run("ledger", "show", "ByocTile/fields")
    assert said.code == 1
    assert "did you mean ByocTiles/fields?" in said.err


def test_every_entry_of_the_ledger_says_who_wrote_it(project: Project) -> None:
    """Also where no USER is exported, as in cron and in containers."""
    project.run("apply", "--auto-approve")
    entries = json.loads(project.run("ledger", "show", "--format", "json").out)
    assert entries
    assert all(entry["actor"]["user"] for entry in entries)


def test_a_ledger_without_its_head_file_is_intact_and_says_what_is_missing(
    project: Project,
) -> None:
    project.run("apply", "--auto-approve")
    (project.root / ".shplan" / "ledger" / "sandbox" / "head.json").unlink()
    said = project.run("ledger", "verify")
    assert said.code == 0
    assert "There is no head file" in said.out
    project.replace("Field imagery", "Fields")
    project.run("apply", "--auto-approve")
    assert "head file" not in project.run("ledger", "verify").out


def test_every_line_of_a_json_log_is_an_event(project: Project) -> None:
    """Also where something is wrong, and where the report goes to stdout."""
    asked = ("--log", "json", "--format", "json")
    for arguments in (
        ("apply", *asked),
        ("apply", "--auto-approve", *asked),
        ("plan", "-o", "plan.json", *asked),
        ("plan", "--select", "ByocCollection/nothing", *asked),
    ):
        said = project.run(*arguments)
        assert said.err
        assert all(json.loads(line)["event"] for line in said.err.splitlines())


def test_an_error_without_a_place_has_a_code_as_well(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = project.run("import", "ByocCollection/fields", "nobody")
    assert said.err.startswith("error[command/failed]: ")
    with (project.root / "shplan.yaml").open("a") as file:
        file.write(
            "  environments:\n"
            "    near: {baseUrl: 'http://127.0.0.1:1', tokenUrl: 'http://127.0.0.1:1/oauth/token'}\n"
        )
    monkeypatch.setenv("SH_CLIENT_ID", "a")
    monkeypatch.setenv("SH_CLIENT_SECRET", "b")
    said = project.run("plan", "-e", "near")
    assert "error[api/unreachable]: The server cannot be reached" in said.err


def test_seed_says_what_is_there_and_what_to_do_with_it(tmp_path: Path, run) -> None:
    """What it prints can be used: the collection that it names is in the sandbox that it names."""
    data = tmp_path / "my data"
    first = run("sandbox", "seed", "--data", str(data))
    assert first.code == 0, first.err
    assert run("sandbox", "seed", "--data", str(data)).out == first.out
    lines = dict(line.split(None, 1) for line in first.out.splitlines())
    collection = lines["collection"].split()[0]
    assert "3 of 3 tiles INGESTED" in lines["collection"]
    assert f'byoc.iter_tiles("{collection}")' in first.err
    assert f"shplan sandbox serve --s3-port 0 --data '{data.as_posix()}'" in first.err
    with sqlite3.connect(data / "sandbox.sqlite") as file:
        assert file.execute("select id from collections").fetchall() == [(collection,)]
    file.close()
