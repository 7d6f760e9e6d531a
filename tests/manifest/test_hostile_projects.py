"""Projects that anybody can send end in messages, in bounded time and memory; paths stay inside."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shplan.manifest.load import load
from shplan.providers.registry import PROVIDERS
from shplan.views.snippet import render_all
from tests.support.bounded import in_bounds

PROJECT = "apiVersion: shplan/v1\nkind: Project\nmetadata: {name: p}\nspec: {}\n"
MOST_BYTES = 2 << 30


def manifest(name: str, spec: str, *, more: str = "", kind: str = "ByocCollection") -> str:
    head = f"---\napiVersion: shplan/v1\nkind: {kind}\nmetadata: {{name: {name}{more}}}\n"
    return f"{head}spec: {spec}\n"


def told(root: Path, text: str | bytes, *, project: str = PROJECT, **files: str) -> str:
    """Load a project in a bounded process; returns all its messages, or their beginning."""
    (root / "manifests").mkdir()
    (root / "shplan.yaml").write_text(project)
    content = text if isinstance(text, bytes) else text.encode()
    (root / "manifests" / "a.yaml").write_bytes(content)
    for name, one in files.items():
        (root / "manifests" / name.replace("_", ".")).write_text(one)
    return loaded(root)


def loaded(root: Path) -> str:
    def work() -> str:
        found = load(root, registry=PROVIDERS)
        text = render_all(found.diagnostics, found.texts)
        return f"{len(found.resources)} resources\n{text}"[:4000]

    answer = in_bounds(work, memory_bytes=MOST_BYTES)
    assert not answer.startswith("!"), answer
    return answer


def place(value: str) -> str:
    """A body with a value where the API takes one of any size."""
    return f"{{name: {value}, s3Bucket: fields}}"


GEOMETRY = "{{ geojson('g.json') }}"
BIG = "x" * 500_000
LAUGHS = "".join(
    f"    l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" if n else "    l0: &l0 [lol]\n"
    for n in range(12)
)
CASES: dict[str, tuple[Callable[[Path], str], str]] = {
    "laughs": (
        lambda root: told(root, manifest("a", "\n  name: a\n  s3Bucket: b\n  x:\n" + LAUGHS)),
        "manifest/too-large",
    ),
    "laughs of expressions": (
        lambda root: told(
            root,
            manifest("a", "{x: [&a \"{{ 'x' * 900000 }}\", " + ", ".join(["*a"] * 5000) + "]}"),
        ),
        "manifest/expression-too-large",
    ),
    "a large variable in many texts": (
        lambda root: told(
            root,
            manifest("a", "{x: [" + ", ".join(['"{{ var.big }}y"'] * 2000) + "]}"),
            project=PROJECT.replace("{}", f'{{variables: {{big: {{default: "{BIG}"}}}}}}'),
        ),
        "manifest/expression-too-large",
    ),
    "an expression that tries every way": (
        lambda root: told(
            root,
            manifest("a", place("x")),
            project=PROJECT.replace(
                "{}",
                '{variables: {v: {default: "'
                + "a" * 5000
                + '!", validation: {pattern: "^(([a-z])+.)+[A-Z]([a-z])+$"}}}}',
            ),
        ),
        "it must match the regular expression",
    ),
    "an expression that looks around": (
        lambda root: told(
            root,
            manifest("a", place("x")),
            project=PROJECT.replace(
                "{}", '{variables: {v: {default: x, validation: {pattern: "^(?!a).*(.)\\\\1$"}}}}'
            ),
        ),
        "looking around are not offered",
    ),
    "aliases in a chain": (
        lambda root: told(
            root,
            "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 2500)),
        ),
        "manifest/too-deep",
    ),
    "a product of lists": (
        lambda root: told(
            root,
            manifest(
                "a",
                place("x"),
                more=", forEach: {"
                + ", ".join(f"k{n}: {list(range(100))}" for n in range(20))
                + "}",
            ),
        ),
        "instances; at most 10,000",
    ),
    "keys that depend on keys": (
        lambda root: told(
            root,
            "".join(
                manifest(
                    f"a{n}",
                    place("x"),
                    more=f", forEach: \"{{{{ ref('ByocCollection/a{n + 1}') }}}}\"",
                )
                for n in range(1000)
            )
            + manifest("a1000", place("x")),
        ),
        "References too long",
    ),
    "references in a chain": (
        lambda root: told(
            root,
            "".join(
                manifest(f"a{n}", place(f"\"{{{{ ref('ByocCollection/a{n + 1}').name }}}}\""))
                for n in range(600)
            )
            + manifest("a600", place("x")),
        ),
        "601 resources\n",
    ),
    "many wrong names": (
        lambda root: told(
            root,
            "".join(
                manifest(
                    "a" * 40 + str(n),
                    place(f"\"{{{{ ref('ByocCollection/{'a' * 40}b{n}').id }}}}\""),
                )
                for n in range(500)
            ),
        ),
        "Reference to nothing",
    ),
    "many unknown fields on one line": (
        lambda root: told(
            root, manifest("a", "{" + ", ".join(f"k{n}: 1" for n in range(1000)) + "}")
        ),
        "Field unknown",
    ),
    "deep lists": (
        lambda root: told(root, manifest("a", "[" * 100_000 + "]" * 100_000)),
        "error[manifest/",
    ),
    "deep mappings": (
        lambda root: told(root, manifest("a", "{a: " * 100_000 + "1" + "}" * 100_000)),
        "manifest/too-deep",
    ),
    "deep keys": (lambda root: told(root, "? " * 100_000 + "a"), "manifest/too-deep"),
    "deep blocks": (lambda root: told(root, "- " * 100_000 + "a"), "manifest/too-deep"),
    "many expressions in a text": (
        lambda root: told(root, manifest("a", place('"' + "{{1}}" * 100_000 + '"'))),
        "1 resources\n",
    ),
    "many braces": (
        lambda root: told(root, manifest("a", place('"{{ ' + "{" * 200_000 + '"'))),
        "does not end",
    ),
    "deep JSON": (
        lambda root: told(
            root,
            manifest("a", place(f'"{GEOMETRY}"')),
            g_json='{"type":"Polygon","coordinates":' + "[" * 500_000 + "]" * 500_000 + "}",
        ),
        "is not JSON",
    ),
    "deep coordinates": (
        lambda root: told(
            root,
            manifest("a", place(f'"{GEOMETRY}"')),
            g_json='{"type":"Polygon","coordinates":' + "[" * 900 + "1,2" + "]" * 900 + "}",
        ),
        "no lists of numbers",
    ),
    "features in features": (
        lambda root: told(
            root,
            manifest("a", place(f'"{GEOMETRY}"')),
            g_json='{"type":"FeatureCollection","features":[{"geometry":' * 300
            + "{}"
            + "}]}" * 300,
        ),
        "a feature inside a feature",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_project_ends_in_a_message(case: str, tmp_path: Path) -> None:
    make, expected = CASES[case]
    answer = make(tmp_path)
    assert expected in answer, answer


TILES = manifest(
    "t", "{collection: \"{{ ref('ByocCollection/a').id }}\", from: {csv: t.csv}}", kind="ByocTiles"
)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("x.yaml", place("x")),
        ("g.json", place(f'"{GEOMETRY}"')),
        ("e.js", ""),
        ("t.csv", place("x") + "\n" + TILES.removesuffix("\n")),
    ],
)
@pytest.mark.parametrize("what", ["sparse", "pipe", "device", "outside", "loop", "directory"])
def test_a_file_that_is_none_is_not_read(name: str, body: str, what: str, tmp_path: Path) -> None:
    """Neither held in memory, nor waited for, nor shown."""
    root = tmp_path / "project"
    (root / "manifests").mkdir(parents=True)
    (root / "shplan.yaml").write_text(PROJECT)
    script = manifest("e", "{file: e.js}", kind="Evalscript")
    (root / "manifests" / "a.yaml").write_text(manifest("a", body) if body else script)
    (tmp_path / "outside.txt").write_text("canary: outside\n")
    path = root / "manifests" / name
    if what == "sparse":
        with path.open("wb") as file:
            file.truncate(20 << 30)
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "device":
        path.symlink_to("/dev/zero")
    elif what == "outside":
        path.symlink_to(tmp_path / "outside.txt")
    elif what == "loop":
        path.symlink_to(path)
    elif name == "x.yaml":
        return  # a directory of that name is looked into
    else:
        path.mkdir()
    answer = loaded(root)
    assert "error[manifest/" in answer, answer
    assert "canary" not in answer


PLACES = (
    "../../outside.txt",
    "../../../../../../../../../../etc/passwd",
    "/etc/passwd",
    "//etc/passwd",
    "/dev/stdin",
    "/proc/self/environ",
    "C:\\\\outside.js",
    "\\\\\\\\host\\\\share\\\\x",
    "~/outside",
    "file:///etc/passwd",
    "https://example.com/x.js",
    "e\\0.js",
    "inner/../../../outside.txt",
    "away/outside.txt",
    ".",
    "..",
    " ",
    "a" * 5000,
    "a/" * 3000 + "x",
)


@pytest.mark.parametrize("text", PLACES, ids=lambda text: text[:30])
@pytest.mark.parametrize("use", ["script", "geometry", "table"])
def test_no_manifest_reads_a_file_outside_the_project(text: str, use: str, tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "manifests").mkdir(parents=True)
    (tmp_path / "outside.txt").write_text("canary: outside\n")
    (root / "manifests" / "away").symlink_to(tmp_path)
    (root / "shplan.yaml").write_text(PROJECT)
    quoted = text.replace("\\", "\\\\")
    body = {
        "script": manifest("e", f'{{file: "{text}"}}', kind="Evalscript"),
        "geometry": manifest("a", place(f"\"{{{{ geojson('{quoted}') }}}}\"")),
        "table": manifest("a", place("x")) + TILES.replace("t.csv", f'"{text}"'),
    }[use]
    (root / "manifests" / "a.yaml").write_text(body)
    found = load(root, registry=PROVIDERS)
    answer = render_all(found.diagnostics, found.texts)
    assert "error[manifest/" in answer
    assert "canary" not in answer
    assert "root:" not in answer


def test_a_link_out_of_the_project_is_named_and_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "manifests").mkdir(parents=True)
    (root / "shplan.yaml").write_text(PROJECT)
    (tmp_path / "outside.yaml").write_text("canary: outside\n")
    (root / "manifests" / "b.yaml").symlink_to(tmp_path / "outside.yaml")
    found = load(root, registry=PROVIDERS)
    answer = render_all(found.diagnostics, found.texts)
    assert "b.yaml, a link that leads out of the project" in answer
    assert "canary" not in answer
