"""
A plan as Markdown: goldens, and laws that hold for any plan.

The laws read the document with a parser of CommonMark, as GitHub and GitLab do, and not with
rules of our own.
"""

from __future__ import annotations

import html
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from shplan.core.address import Address
from shplan.core.change import Action, Change, Reason, Refusal, RefusalKind
from shplan.core.cost import Cost
from shplan.core.diagnostic import Diagnostic
from shplan.core.plan import Plan
from shplan.core.value import SecretReference, Sensitive, Value
from shplan.views.markdown import LIMIT, code, fenced
from shplan.views.plan_markdown import Setting, render_markdown
from shplan.views.plan_text import is_told
from tests.views.job_plans import SCENES
from tests.views.plans import FIELDS, at, field, first_apply, inputs, many_tiles, tile
from tests.views.test_plan_text import GOLDEN, golden

LEAST = 2_000
PARSER = MarkdownIt("commonmark")
HOSTILE = st.sampled_from(
    [
        "```",
        "~~~~",
        "</details>",
        "</code></summary><script>alert(1)</script>",
        "<!--",
        "@everyone",
        "https://evil.example/?a=1",
        "[click](https://evil.example)",
        "![](https://evil.example/pixel.png)",
        "# head",
        "`a``b`",
        "\r\n```\n@ana",
        "&#64;ana",
        "| a | b |",
        "fixes #1",
    ]
)
# What has no form in JSON has no digest, and never becomes a plan.
CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXT = st.text(CHARACTERS, max_size=30) | HOSTILE | st.lists(HOSTILE, max_size=3).map("".join)
LONG = TEXT | st.sampled_from(["x" * 5_000, "`" * 400, "@" * 900])
NAMES = st.text(CHARACTERS, min_size=1, max_size=12) | HOSTILE


COUNTED = st.sampled_from(
    ["declared", "unmanaged", "ingesting", "not confirmed", "tiles deleted with it"]
)


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_markdown_is_exactly_this(scene: str) -> None:
    told = render_markdown(SCENES[scene](), Setting(budget_max_pu=100)).encode()
    assert told.decode() == golden(GOLDEN / scene / "expected.md", told).decode()


@st.composite
def changes(draw: st.DrawFn) -> Change:
    action = draw(st.sampled_from(Action))
    text = draw(LONG)
    diagnostic = Diagnostic("plan/x", "Refused", text, text, text, address=draw(TEXT))
    refusal = Refusal(draw(st.sampled_from(RefusalKind)), diagnostic)
    maximum = draw(st.floats(0, 1e12))
    values: st.SearchStrategy[Value] = st.none() | LONG | st.integers()
    return Change(
        Address("ByocTiles", draw(NAMES), draw(st.none() | NAMES)),
        action,
        draw(st.sampled_from(Reason)),
        fields=tuple(
            field(draw(TEXT), draw(values), draw(values), forces=draw(TEXT))
            for _ in range(draw(st.integers(0, 4)))
        ),
        members=tuple(
            tile(draw(LONG), draw(st.sampled_from(["create", "delete", "reingest", "adopt"])))
            for _ in range(draw(st.integers(0, 4)))
        ),
        cost=Cost(0, maximum / 2, maximum),
        source=draw(st.none() | st.builds(at, st.just(3), file=TEXT)),
        counts=draw(st.dictionaries(TEXT | COUNTED, st.integers(0, 10**9), max_size=4)),
        notes=tuple(draw(st.lists(LONG, max_size=2))),
        refusals=(refusal,) if draw(st.booleans()) else (),
        current={"from": draw(TEXT)},
        id=draw(TEXT),
        prevent_destroy=draw(st.booleans()),
        deposed=draw(st.booleans()),
        drifted=draw(st.booleans()),
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    drawn = draw(st.lists(changes(), max_size=6))
    # Many of them, as cheaply as hypothesis can: each a few times, at addresses of their own.
    times = draw(st.sampled_from([1, 1, 7, 40]))
    many = [
        replace(one, address=replace(one.address, kind=f"{one.address.kind}{number}"))
        for number in range(times)
        for one in drawn
    ]
    given_inputs = inputs(
        project=draw(TEXT),
        environment=draw(TEXT),
        deployment=draw(LONG),
        version=draw(TEXT),
        commit=draw(TEXT),
        ledger_head=draw(LONG),
        select=tuple(draw(st.lists(LONG, max_size=2))),
        destroy=draw(st.booleans()),
    )
    return Plan(given_inputs, tuple(many))


SETTINGS = st.builds(
    Setting,
    digest=TEXT,
    budget_max_pu=st.none() | st.floats(0, 1e9),
    saved_as=LONG,
    drift_of=st.none() | st.builds(SCENES["nothing-to-do"]),
)
LIMITS = st.sampled_from([LEAST, LEAST + 1, 3_000, 10_000, LIMIT])


def flat(tokens: list[Token]) -> list[Token]:
    return [inner for one in tokens for inner in (one, *(one.children or []))]


OURS = re.compile(
    r"<details( open)?><summary><code>[^<>]*</code>[^<>]*(, <b>refused</b>)?</summary>\n?|</details>\n?"
)


@given(plans(), SETTINGS, LIMITS)
@example(SCENES["stopped"](), Setting(), LEAST)
def test_nobody_breaks_out(plan: Plan, setting: Setting, limit: int) -> None:
    """No HTML but our own, no link, no image, and nobody mentioned, whatever the names are."""
    told = render_markdown(plan, setting, limit=limit)
    tokens = flat(PARSER.parse(told))
    blocks = [one.content for one in tokens if one.type == "html_block"]
    assert [one for one in blocks if not OURS.fullmatch(one)] == []
    kinds = {one.type for one in tokens}
    assert kinds.isdisjoint({"html_inline", "link_open", "image", "code_block", "hr"})
    prose = "".join(one.content for one in tokens if one.type == "text")
    assert not re.search(r"[@#<>|$]|https?:|www\.", prose)
    assert all(one.isprintable() or one == "\n" for one in told)


@given(plans(), SETTINGS, LIMITS)
def test_it_fits_and_nothing_is_cut_open(plan: Plan, setting: Setting, limit: int) -> None:
    told = render_markdown(plan, setting, limit=limit)
    assert len(told) <= limit
    tokens = PARSER.parse(told)
    blocks = [one.content for one in tokens if one.type == "html_block"]
    assert [one.startswith("</") for one in blocks] == [False, True] * (len(blocks) // 2)
    fences = [one for one in tokens if one.type == "fence"]
    lines = told.splitlines()
    for fence in fences:
        assert fence.map is not None
        assert lines[fence.map[1] - 1] == fence.markup, "a fence that only the end closes"
    assert tokens[-2].content.startswith("Plan `")
    assert told.endswith(".\n")


@given(plans(), SETTINGS, LIMITS)
def test_what_is_deleted_replaced_or_refused_is_named_or_counted(
    plan: Plan, setting: Setting, limit: int
) -> None:
    told = render_markdown(plan, setting, limit=limit)
    rest = {words: int(n.replace(",", "")) for n, words in REST.findall(told)}
    for action, verb, words in (
        (Action.DELETE, "**Deletes** ", "to delete"),
        (Action.REPLACE, "**Replaces** ", "to replace"),
    ):
        concerned = [one for one in plan.changes if one.action is action]
        named = sum(f"- {verb}{code(str(one.address))}" in told for one in concerned)
        assert named + rest.get(words, 0) >= len(concerned)
        assert told.count(f"- {verb}`") + rest.get(words, 0) == len(concerned)
    refused = len(re.findall(r"^\*\*(?:Refused|A person must decide)\*\*", told, re.MULTILINE))
    assert refused + rest.get("refused", 0) == len(plan.refusals)


@given(plans(), SETTINGS, LIMITS)
def test_what_is_shown_and_what_is_counted_are_all_changes(
    plan: Plan, setting: Setting, limit: int
) -> None:
    told = render_markdown(plan, setting, limit=limit)
    shown = len(re.findall(r"^<details", told, re.MULTILINE))
    (line, *_) = [*re.findall(r"^Not shown, .*: (.*)\.$", told, re.MULTILINE), ""]
    left = Counter({words: int(n.replace(",", "")) for n, words in LEFT.findall(line)})
    quiet = sum(not is_told(one) for one in plan.changes)
    assert shown + left.total() == len(plan.changes) - quiet


REST = re.compile(r"^- and ([\d,]+) more (.+)$", re.MULTILINE)
LEFT = re.compile(r"([\d,]+) ((?:to )?[a-z]+)(?:, |$)")


@given(plans(), SETTINGS)
def test_more_room_never_shows_fewer_risks(plan: Plan, setting: Setting) -> None:
    few, many = (render_markdown(plan, setting, limit=limit) for limit in (LEAST, LIMIT))
    assert many.count("**Deletes** ") >= few.count("**Deletes** ")
    assert many.count("<details") >= few.count("<details")


@given(TEXT | LONG)
def test_a_code_span_says_exactly_the_text(text: str) -> None:
    shown = code(text, longest=10_000)
    (inline,) = [one for one in PARSER.parse(f"x {shown} y") if one.type == "inline"]
    first, span, last = inline.children or []
    assert (first.content, span.type, last.content) == ("x ", "code_inline", " y")
    assert span.content == ("".join(_as_shown(one) for one in text) or " ")


def _as_shown(one: str) -> str:
    return one if one.isprintable() else " " if one.isspace() else "?"


@given(st.lists(st.text(st.characters(categories=["L", "P", "S", "Zs"])), max_size=5))
def test_a_fence_holds_exactly_its_lines(lines: list[str]) -> None:
    (fence,) = PARSER.parse(fenced(lines, "diff"))
    assert (fence.type, fence.info) == ("fence", "diff")
    assert fence.content == "\n".join(lines) + "\n"


def test_no_secret_and_no_unknown_is_worded_otherwise_than_elsewhere() -> None:
    secret = Sensitive(("hunter2", SecretReference("env:HUNTER2")))
    change = Change(
        FIELDS, Action.UPDATE, Reason.DIFFERS, fields=(field("a", secret, {"b": [secret]}),)
    )
    told = render_markdown(Plan(inputs(), (change,)))
    assert "hunter2" not in told.lower()
    assert "(sensitive)" in told
    assert "(known after apply)" in render_markdown(SCENES["unknown-and-secret"]())


def many_changes(count: int) -> Plan:
    """So many collections to create, and as many to delete."""
    one = first_apply().changes[0]
    return Plan(
        inputs(),
        tuple(
            replace(one, address=Address("ByocCollection", f"c{n}"), action=action)
            for n in range(count)
            for action in (Action.CREATE, Action.DELETE)
        ),
    )


def calls_of(act: Callable[[], object]) -> int:
    """How often anything is called: work that no busy machine makes longer."""
    count = 0

    def counting(frame: object, event: str, what: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counting)
    try:
        act()
    finally:
        sys.setprofile(before)
    return count


def test_twice_the_changes_are_twice_the_work() -> None:
    few, many = many_changes(1_000), many_changes(2_000)
    render_markdown(few)  # what is loaded once is loaded
    least = calls_of(lambda: render_markdown(few))
    assert least < calls_of(lambda: render_markdown(many)) < 2.2 * least
    # A handful of calls for each; the whole of it is text of a limited length.
    assert least < 300 * len(few.changes)


def test_ten_thousand_changes_are_counted() -> None:
    told = render_markdown(many_changes(5_000))
    assert "- and 4,980 more to delete\n" in told
    assert "Not shown, because this would be too long: 5,000 to create, " in told
    assert LIMIT - 2_000 < len(told) <= LIMIT


def test_what_matters_is_shown_before_what_is_many() -> None:
    """A delete is not pushed out by the creates that stand before it."""
    one = first_apply().changes[0]
    creates = [replace(one, address=Address("ByocCollection", f"c{n}")) for n in range(500)]
    last = replace(one, address=Address("ByocCollection", "last"), action=Action.DELETE)
    told = render_markdown(Plan(inputs(), (*creates, last)), limit=4_000)
    assert "<code>- ByocCollection/last</code>" in told
    assert "**Deletes** `ByocCollection/last`" in told


def test_a_set_of_many_tiles_is_short() -> None:
    told = render_markdown(many_tiles(10_000))
    assert "... and 9,990 more to create" in told
    assert len(told) < 3_000


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (Setting(saved_as="plan.json"), "shplan apply plan.json"),
        (Setting(saved_as="out/my plan.json"), "shplan apply 'out/my plan.json'"),
        (Setting(default_environment="prod"), "shplan apply -e sandbox"),
        (Setting(), "shplan apply"),
    ],
)
def test_the_next_step_is_what_was_reviewed(setting: Setting, expected: str) -> None:
    assert f"```sh\n{expected}\n```" in render_markdown(first_apply(), setting)


def test_half_a_command_is_never_shown() -> None:
    plan = replace(first_apply(), inputs=inputs(select=("ByocCollection/" + "x" * 400,)))
    (command,) = re.findall(r"```sh\n(.*)\n```", render_markdown(plan))
    assert command == "shplan apply   # with the environment and the selection of this plan"


def test_the_ledger_is_anchored() -> None:
    plan = first_apply()
    last = render_markdown(plan).splitlines()[-1]
    assert plan.digest in last
    assert plan.inputs.ledger_head in last
    fresh = replace(plan, inputs=inputs(ledger_head=""))
    assert "made from an empty ledger" in render_markdown(fresh).splitlines()[-1]


def test_html_in_a_summary_is_text() -> None:
    change = replace(first_apply().changes[0], address=Address("K", "<b>&"))
    assert f"<code>+ {html.escape('K/<b>&')}</code>" in render_markdown(Plan(inputs(), (change,)))
