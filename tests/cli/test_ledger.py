"""The ledger as evidence, on the command line: heads that CI printed, signatures, tables."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.ledger.support import adopt, journal, write
from tests.ledger.support import run as run_now

HEAD = re.compile(r"^ledger head (\d+:[0-9a-f]{64})$", re.MULTILINE)
LEDGER = Path(".shplan") / "ledger" / "sandbox"
needs_ssh = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed"
)


def printed(text: str) -> str:
    (found,) = HEAD.findall(text)
    return found


def verified(project) -> dict:
    return json.loads(project.run("ledger", "verify", "--format", "json").out)


def roll_back(project, to: Path) -> None:
    """Put back the ledger of an earlier moment, with its head, as nobody's chain can tell."""
    shutil.rmtree(project.root / LEDGER)
    shutil.copytree(to, project.root / LEDGER)


@pytest.fixture
def earlier(project, tmp_path: Path) -> Path:
    """A copy of the ledger after a first apply; the project has had a second one since."""
    project.run("apply", "--auto-approve")
    copy = tmp_path / "earlier"
    shutil.copytree(project.root / LEDGER, copy)
    project.replace("Field imagery", "Fields")
    assert project.run("apply", "--auto-approve").code == 0
    return copy


# Heads that are printed are anchors.


def test_every_command_prints_the_head_that_verify_takes(project) -> None:
    first = project.run("plan")
    assert HEAD.findall(first.out + first.err) == []
    applied = project.run("apply", "--auto-approve")
    head = printed(applied.err)
    assert "ledger head" not in applied.out
    assert printed(project.run("plan").err) == head
    assert printed(project.run("ledger", "verify").out) == head
    assert verified(project)["ledgerHead"] == head
    assert f"`{head}`" in project.run("ledger", "verify", "--format", "markdown").out
    again = json.loads(project.run("apply", "--auto-approve", "--format", "json").out)
    assert again["ledgerHead"] == head
    planned = json.loads(project.run("plan", "--format", "json").out)
    assert planned["inputs"]["ledgerHead"] == "sha256:" + head.split(":")[1]
    markdown = project.run("plan", "--format", "markdown").out
    assert head.split(":")[1] in markdown
    for anchor in (head, planned["inputs"]["ledgerHead"]):
        assert project.run("ledger", "verify", "--anchor", anchor).code == 0


def test_a_ledger_rolled_back_with_its_head_is_found_by_what_ci_printed(project, earlier) -> None:
    head = printed(project.run("plan").err)
    assert project.run("ledger", "verify", "--anchor", head).code == 0
    roll_back(project, earlier)
    assert project.run("ledger", "verify").code == 0
    older = verified(project)["ledgerHead"]
    said = project.run("ledger", "verify", "--anchor", older, "--anchor", head)
    assert said.code == 1
    assert "Anchored by --anchor: it is entry" in said.out
    assert f"Not anchored: by --anchor the ledger had the head {head}" in said.out
    assert "the ledger does not reach entry" in said.out
    shown = project.run("ledger", "verify", "--anchor", head, "--format", "json")
    assert shown.code == 1
    (found,) = json.loads(shown.out)["anchors"]
    assert (found["anchor"], found["met"]) == (head, False)


def test_a_saved_plan_is_an_anchor(project, earlier) -> None:
    project.run("plan", "-o", "plan.json")
    assert project.run("ledger", "verify", "--plan", "plan.json").code == 0
    roll_back(project, earlier)
    said = project.run("ledger", "verify", "--plan", "plan.json")
    assert said.code == 1
    assert "Not anchored: by plan.json the ledger had the head" in said.out


def test_manifests_that_are_wrong_keep_nobody_from_the_ledger(project, earlier) -> None:
    head = printed(project.run("ledger", "verify").out)
    rows = project.run("ledger", "export").out
    project.manifest.write_text("kind: [")
    assert project.run("plan").code == 1
    assert printed(project.run("ledger", "verify").out) == head
    assert project.run("ledger", "export").out == rows
    assert project.run("ledger", "verify", "-e", "nowhere").code == 1


@pytest.mark.parametrize("anchor", ["12", "12:abc", "sha256:", "x:" + "0" * 64])
def test_what_is_no_head_is_wrong_usage(project, anchor: str) -> None:
    said = project.run("ledger", "verify", "--anchor", anchor)
    assert said.code == 1
    assert "is no head of a ledger; write SEQUENCE:HASH" in said.err


def test_a_plan_of_another_environment_is_no_anchor(project) -> None:
    project.run("plan", "-o", "plan.json")
    file = project.root / "shplan.yaml"
    file.write_text(f"{file.read_text()}  environments: {{other: {{deployment: sandbox}}}}\n")
    said = project.run("ledger", "verify", "-e", "other", "--plan", "plan.json")
    assert said.code == 1
    assert "plan.json is a plan of sandbox, and this is other" in said.err


def test_what_is_to_be_typed_next_is_for_the_same_environment(project) -> None:
    file = project.root / "shplan.yaml"
    file.write_text(f"{file.read_text()}  environments: {{other: {{deployment: sandbox}}}}\n")
    here = ("-e", "other")
    assert "  shplan plan -e other\n" in project.run("status", *here).out
    assert "  shplan plan -e other\n" in project.run("status", *here, "--watch").out
    assert project.run("apply", *here, "--auto-approve").code == 0
    assert project.run("plan", *here, "-o", "plan.json").code == 0
    ledger = project.root / ".shplan/ledger/other"
    (journal,) = ledger.glob("*.jsonl")
    journal.write_bytes(journal.read_bytes().replace(b"intent", b"INTENT", 1))
    for form in ("text", "markdown"):
        said = project.run("ledger", "verify", *here, "--format", form)
        assert "  shplan ledger recover -e other\n" in said.out
    assert "  shplan plan -e other\n" in project.run("ledger", "recover", *here).out
    said = project.run("apply", "plan.json")
    assert said.code == 4
    assert "shplan ledger verify --plan plan.json -e other; then" in said.err


@needs_ssh
def test_whoever_checks_a_signature_is_told_the_environment(project, keys: Path) -> None:
    file = project.root / "shplan.yaml"
    file.write_text(f"{file.read_text()}  environments: {{other: {{deployment: sandbox}}}}\n")
    here = ("-e", "other")
    assert project.run("apply", *here, "--auto-approve").code == 0
    none = project.run("ledger", "verify", *here, "--allowed-signers", str(keys / "allowed"))
    assert "hint: shplan ledger sign --key KEYFILE -e other\n" in none.err
    said = project.run("ledger", "sign", *here, "--key", str(keys / "ada"))
    assert "  shplan ledger verify --allowed-signers FILE -e other\n" in said.out


def test_a_saved_plan_is_refused_on_a_ledger_that_has_not_its_head(project, earlier) -> None:
    project.replace("Fields", "Other fields")
    project.run("plan", "-o", "plan.json")
    head = json.loads((project.root / "plan.json").read_text())["inputs"]["ledgerHead"]
    kept = {path.name: path.read_bytes() for path in (project.root / LEDGER).iterdir()}
    roll_back(project, earlier)
    said = project.run("apply", "plan.json")
    assert said.code == 4
    assert "The ledger is not the one that was planned from" in said.err
    assert head.removeprefix("sha256:") in said.err
    assert "Nothing was sent." in said.err
    for name, content in kept.items():
        (project.root / LEDGER / name).write_bytes(content)
    assert project.run("apply", "plan.json").code == 0


def test_a_plan_that_was_made_before_the_first_entry_is_applied(project) -> None:
    project.run("plan", "-o", "plan.json")
    assert project.run("apply", "plan.json").code == 0
    assert project.run("ledger", "verify", "--plan", "plan.json").code == 0


# Signatures.


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    for name in ("ada", "eve"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{name}@example.org",
             "-f", folder / name],
            check=True,
        )  # fmt: skip
    allow(folder, "ada@example.org", "ada")
    return folder


def allow(keys: Path, who: str, name: str, options: str = "") -> None:
    public = (keys / f"{name}.pub").read_text()
    (keys / "allowed").write_text(f"{who} {options}{public}")


def sign(project, keys: Path, name: str = "ada"):
    said = project.run("ledger", "sign", "--key", str(keys / name))
    assert said.code == 0, said.err
    return said


def check(project, keys: Path):
    return project.run("ledger", "verify", "--allowed-signers", str(keys / "allowed"))


@needs_ssh
def test_a_signed_head_says_who_signed_it_when(project, keys: Path) -> None:
    project.run("apply", "--auto-approve")
    before = (project.root / LEDGER / "00000000.jsonl").read_bytes()
    said = sign(project, keys)
    head = verified(project)["ledgerHead"]
    assert f"Signed the ledger head {head}." in said.out
    assert (project.root / LEDGER / "00000000.jsonl").read_bytes() == before
    file = project.root / "signatures" / "sandbox.jsonl"
    (line,) = file.read_text().splitlines()
    assert json.loads(line)["signature"].startswith("-----BEGIN SSH SIGNATURE-----")
    checked = check(project, keys)
    assert checked.code == 0
    number = head.split(":")[0]
    assert re.search(
        rf"^Signed up to entry {number} by ada@example.org at \d{{4}}-[\dT:.-]+Z "
        r"\(signatures/sandbox.jsonl:1\)\.$",
        checked.out,
        re.MULTILINE,
    )


@needs_ssh
def test_heads_are_added_and_what_is_not_signed_is_said(project, keys: Path) -> None:
    project.run("apply", "--auto-approve")
    sign(project, keys)
    project.replace("Field imagery", "Fields")
    project.run("apply", "--auto-approve")
    checked = check(project, keys)
    assert checked.code == 0
    assert "Nobody has signed the 2 entries after entry" in checked.out
    sign(project, keys)
    checked = check(project, keys)
    assert checked.out.count("Signed up to entry") == 2
    assert "Nobody has signed" not in checked.out


@needs_ssh
def test_a_ledger_rolled_back_behind_a_signed_head_is_found(project, earlier, keys: Path) -> None:
    sign(project, keys)
    roll_back(project, earlier)
    checked = check(project, keys)
    assert checked.code == 1
    assert "does not hold: ada@example.org signed the head" in checked.out
    assert "the ledger does not reach entry" in checked.out


@needs_ssh
def test_every_field_of_a_signed_head_is_signed(project, keys: Path) -> None:
    project.run("apply", "--auto-approve")
    sign(project, keys)
    file = project.root / "signatures" / "sandbox.jsonl"
    whole = file.read_text()
    record = json.loads(whole)
    other = {
        "environment": "production",
        "hash": "sha256:" + "0" * 64,
        "project": "other",
        "sequence": record["sequence"] - 1,
        "time": "2020-01-01T00:00:00.000Z",
        "signature": record["signature"].replace("A", "B", 1),
        "v": 2,
    }
    assert other.keys() == record.keys()
    for name, value in other.items():
        changed = json.dumps({**record, name: value}, sort_keys=True, separators=(",", ":"))
        file.write_text(changed + "\n")
        checked = check(project, keys)
        assert checked.code == 1, name
        assert "Signature at signatures/sandbox.jsonl:1 does not hold" in checked.out, name
    for broken in ("", "{}", "[]", "nonsense", whole.replace(",", ", ", 1), "[" * 9999):
        file.write_text(whole + broken + "\n")
        assert check(project, keys).code == 1, broken[:20]
    file.write_text(whole)
    assert check(project, keys).code == 0


@needs_ssh
def test_a_key_that_nobody_allowed_does_not_count(project, keys: Path) -> None:
    project.run("apply", "--auto-approve")
    sign(project, keys, "eve")
    checked = check(project, keys)
    assert checked.code == 1
    assert "no allowed signer made it (key SHA256:" in checked.out


@needs_ssh
@pytest.mark.parametrize(
    ("who", "signer"),
    [
        ("ada@example.org,bob@example.org", "ada@example.org"),
        ("!eve@example.org,bob@example.org", "bob@example.org"),
        ("*@example.org", "*@example.org"),
        ('"Ada L."', "Ada L."),
    ],
)
def test_a_key_of_several_names_is_allowed_by_any(
    project, keys: Path, who: str, signer: str
) -> None:
    project.run("apply", "--auto-approve")
    sign(project, keys)
    allow(keys, who, "ada")
    checked = check(project, keys)
    assert checked.code == 0
    assert f" by {signer} at " in checked.out


@needs_ssh
def test_an_older_signature_does_not_hide_what_was_rolled_back(
    project, earlier, keys: Path
) -> None:
    """Both were signed; whoever rolls back to the first cannot take the second line away."""
    project.run("apply", "--auto-approve")
    now = {file.name: file.read_bytes() for file in (project.root / LEDGER).iterdir()}
    roll_back(project, earlier)
    sign(project, keys)
    assert check(project, keys).code == 0
    for name, data in now.items():
        (project.root / LEDGER / name).write_bytes(data)
    sign(project, keys)
    assert check(project, keys).code == 0
    roll_back(project, earlier)
    checked = check(project, keys)
    assert checked.code == 1
    assert "Signed up to entry" in checked.out
    assert "the ledger does not reach entry" in checked.out


def test_the_ledger_of_another_project_or_environment_is_told(project) -> None:
    """It is whole, and its entries are chained: only its beginning says whose it is."""
    project.run("apply", "--auto-approve")
    assert verified(project)["origin"] == ""
    file = project.root / "shplan.yaml"
    file.write_text(file.read_text().replace("{name: ", "{name: other-"))
    said = project.run("ledger", "verify")
    assert said.code == 1
    told = r"^It is another ledger: that of project [\w-]+, environment sandbox\.$"
    assert re.search(told, said.out, re.MULTILINE)
    assert verified(project)["proven"] is False


@needs_ssh
def test_a_signature_made_for_another_purpose_does_not_count(project, keys: Path) -> None:
    """Who gets a signature for a file or for Git cannot pass it off as one for a ledger."""
    project.run("apply", "--auto-approve")
    sign(project, keys)
    file = project.root / "signatures" / "sandbox.jsonl"
    record = json.loads(file.read_text())
    signature = record.pop("signature")
    statement = json.dumps(record, sort_keys=True, separators=(",", ":")) + "\n"
    done = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-n", "file", "-f", keys / "ada"],
        input=statement.encode(), capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout.decode() != signature
    record["signature"] = done.stdout.decode()
    file.write_text(json.dumps(record, sort_keys=True, separators=(",", ":")) + "\n")
    checked = check(project, keys)
    assert checked.code == 1
    assert "it is no signature of what the line says" in checked.out


@needs_ssh
def test_a_key_counts_for_the_time_and_the_purpose_that_it_is_given(project, keys: Path) -> None:
    project.run("apply", "--auto-approve")
    sign(project, keys)
    for options, code in (
        ('valid-before="20200101" ', 1),
        ('valid-after="20990101" ', 1),
        ('valid-after="20200101" ', 0),
        ('namespaces="git" ', 1),
        ('namespaces="git,shplan-ledger" ', 0),
    ):
        allow(keys, "ada@example.org", "ada", options)
        assert check(project, keys).code == code, options


@needs_ssh
def test_a_signature_of_another_ledger_does_not_count(project, keys: Path) -> None:
    project.run("apply", "--auto-approve")
    sign(project, keys)
    text = (project.root / "shplan.yaml").read_text()
    (project.root / "shplan.yaml").write_text(text.replace("name: demo", "name: other", 1))
    checked = check(project, keys)
    assert checked.code == 1
    assert "it is of another ledger: of demo, environment sandbox" in checked.out


@needs_ssh
def test_a_key_in_an_agent_signs(project, keys: Path, monkeypatch) -> None:
    if shutil.which("ssh-agent") is None:
        pytest.skip("no agent")
    project.run("apply", "--auto-approve")
    started = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True)
    socket, pid = re.findall(r"SSH_\w+=([^;]+);", started.stdout)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        subprocess.run(["ssh-add", "-q", keys / "ada"], check=True)
        (keys / "ada").unlink()
        sign(project, keys, "ada.pub")
        assert check(project, keys).code == 0
    finally:
        os.kill(int(pid), 15)


@needs_ssh
def test_what_cannot_be_signed_leaves_no_file(project, keys: Path) -> None:
    key = str(keys / "ada")
    empty = project.run("ledger", "sign", "--key", key)
    assert (empty.code, "the ledger is empty" in empty.err) == (1, True)
    project.run("apply", "--auto-approve")
    wrong = project.run("ledger", "sign", "--key", str(project.root / "shplan.yaml"))
    assert (wrong.code, "ssh-keygen did not sign" in wrong.err) == (1, True)
    journal = project.root / LEDGER / "00000000.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"genesis", b"genesiS"))
    damaged = project.run("ledger", "sign", "--key", key)
    assert (damaged.code, "it was not signed" in damaged.err) == (1, True)
    assert not (project.root / "signatures").exists()


@needs_ssh
def test_signatures_that_are_asked_for_and_not_there_are_an_error(project, keys: Path) -> None:
    project.run("apply", "--auto-approve")
    missing = check(project, keys)
    assert missing.code == 1
    assert "there is no signed head in signatures/sandbox.jsonl" in missing.err
    out = project.root / "heads.jsonl"
    said = project.run("ledger", "sign", "--key", str(keys / "ada"), "-o", str(out))
    assert said.code == 0
    assert check(project, keys).code == 1
    allowed = str(keys / "allowed")
    named = project.run("ledger", "verify", "--allowed-signers", allowed, "--signatures", str(out))
    assert named.code == 0
    empty = keys / "empty.jsonl"
    empty.touch()
    both = ("--signatures", str(out), "--signatures", str(empty))
    one_without = project.run("ledger", "verify", "--allowed-signers", allowed, *both)
    assert (one_without.code, "no signed head in" in one_without.err) == (1, True)
    assert str(empty) in one_without.err
    assert str(out) not in one_without.err
    alone = project.run("ledger", "verify", "--signatures", str(out))
    assert (alone.code, "--allowed-signers" in alone.err) == (1, True)


def test_a_program_in_the_checkout_is_not_run(project, monkeypatch) -> None:
    """Only what an absolute entry of PATH holds: a repository brings no programs."""
    project.run("apply", "--auto-approve")
    planted = project.root / "ssh-keygen"
    planted.write_text("#!/bin/sh\ntouch ran\n")
    planted.chmod(planted.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", os.pathsep.join([".", "", "bin"]))
    said = project.run("ledger", "sign", "--key", "shplan.yaml")
    assert said.code == 1
    assert "ssh-keygen is not on the PATH" in said.err
    assert not (project.root / "ran").exists()


# Tables.


def table(project, *arguments: str) -> list[dict[str, str]]:
    said = project.run("ledger", "export", "--format", "csv", *arguments)
    assert said.code == 0
    return list(csv.DictReader(io.StringIO(said.out, newline="")))


def test_a_table_has_a_row_for_every_entry(project) -> None:
    project.run("apply", "--auto-approve")
    rows = table(project)
    entries = json.loads(project.run("ledger", "show", "--format", "json").out)
    assert [int(row["sequence"]) for row in rows] == [one["sequence"] for one in entries]
    assert [row["event"] for row in rows] == [one["event"] for one in entries]
    assert rows[-1]["hash"] == verified(project)["head"]
    assert [row["previous"] for row in rows[1:]] == [row["hash"] for row in rows[:-1]]


def test_an_export_of_one_address_has_its_entries_alone(project) -> None:
    project.run("apply", "--auto-approve")
    rows = table(project, "ByocTiles/fields")
    assert rows
    assert {row["address"] for row in rows} == {"ByocTiles/fields"}
    lines = project.run("ledger", "export", "ByocTiles/fields").out.splitlines()
    assert [json.loads(line)["sequence"] for line in lines] == [
        int(row["sequence"]) for row in rows
    ]
    wrong = project.run("ledger", "export", "ByocTiles/field")
    assert wrong.code == 1
    assert "did you mean ByocTiles/fields?" in wrong.err


def test_an_export_takes_the_place_of_a_file_whole(project) -> None:
    project.run("apply", "--auto-approve")
    out = project.root / "ledger.jsonl"
    out.write_text("before")
    assert project.run("ledger", "export", "-o", str(out)).out == ""
    assert out.read_bytes() == (project.root / LEDGER / "00000000.jsonl").read_bytes()
    journal = project.root / LEDGER / "00000000.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"genesis", b"genesiS"))
    out.write_text("before")
    assert project.run("ledger", "export", "-o", str(out)).code == 1
    assert out.read_text() == "before"
    assert [path.name for path in project.root.glob(".*.new")] == []


# Long ledgers.


def test_a_long_ledger_is_shown_whole(project) -> None:
    """It is written while it is read, and is the same document."""
    made = journal(project.root / LEDGER)
    run_now(write(made, *map(adopt, range(1200))))
    lines = project.run("ledger", "show").out.splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(1201))
    assert {line.index("ByocCollection/fields") for line in lines[1:]} == {
        lines[1].index("ByocCollection/fields")
    }
    shown = project.run("ledger", "show", "--format", "json").out
    entries = json.loads(shown)
    assert [one["sequence"] for one in entries] == list(range(1201))
    assert json.dumps(entries, indent=2, sort_keys=True, ensure_ascii=False) + "\n" == shown
    assert len(project.run("ledger", "show", "ByocCollection/fields").out.splitlines()) == 1200


def test_an_empty_ledger_is_shown_as_such(project) -> None:
    assert project.run("ledger", "show").out == "The ledger is empty.\n"
    assert project.run("ledger", "show", "--format", "json").out == "[]\n"
