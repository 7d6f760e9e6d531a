"""Laws of repetition, over every failure and effect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.api.retry import (
    NOTHING_HAPPENED,
    Failure,
    GiveUp,
    Policy,
    Tally,
    Wait,
    decide,
    retry_after_s,
)
from shplan.core.request import Effect

FAILURES = st.sampled_from(Failure)
EFFECTS = st.sampled_from(Effect)
WITH_EFFECT = [effect for effect in Effect if effect is not Effect.READ]
ONCE = {failure: Tally().plus(failure, elapsed_s=0) for failure in Failure}


@pytest.mark.parametrize("effect", WITH_EFFECT)
@pytest.mark.parametrize("failure", Failure)
def test_what_may_have_happened_is_never_repeated(failure: Failure, effect: Effect) -> None:
    decision = decide(failure, effect=effect, tally=ONCE[failure], policy=Policy())
    if failure not in NOTHING_HAPPENED:
        assert isinstance(decision, GiveUp)


@pytest.mark.parametrize("effect", Effect)
@pytest.mark.parametrize("failure", [Failure.THROTTLED, Failure.EXPIRED, Failure.UNREACHABLE])
def test_what_certainly_did_not_happen_is_repeated(failure: Failure, effect: Effect) -> None:
    assert isinstance(decide(failure, effect=effect, tally=ONCE[failure], policy=Policy()), Wait)


@pytest.mark.parametrize("failure", [Failure.LOST, Failure.BROKEN])
def test_reads_are_repeated_on_any_passing_failure(failure: Failure) -> None:
    tally = ONCE[failure]
    assert isinstance(decide(failure, effect=Effect.READ, tally=tally, policy=Policy()), Wait)


@pytest.mark.parametrize("effect", Effect)
@pytest.mark.parametrize("failure", [Failure.REFUSED, Failure.IMPOSSIBLE])
def test_a_no_is_a_no(failure: Failure, effect: Effect) -> None:
    decision = decide(failure, effect=effect, tally=ONCE[failure], policy=Policy())
    assert isinstance(decision, GiveUp)


@given(
    st.lists(FAILURES, min_size=1, max_size=200),
    EFFECTS,
    st.one_of(st.none(), st.floats(0, 100)),
    st.floats(0, 1),
)
def test_patience_ends_by_attempts_and_by_time(
    failures: list[Failure], effect: Effect, asked_s: float | None, jitter: float
) -> None:
    """Whatever goes wrong in whatever order, waiting stays below the limits."""
    policy = Policy(attempts=4, throttled_attempts=7, total_s=90)
    tally = Tally()
    elapsed_s = 0.0
    waits = 0
    for failure in failures:
        tally = tally.plus(failure, elapsed_s=elapsed_s)
        decision = decide(
            failure,
            effect=effect,
            tally=tally,
            policy=policy,
            retry_after_s=asked_s,
            jitter=jitter,
        )
        if isinstance(decision, GiveUp):
            break
        elapsed_s += decision.seconds
        waits += 1
    assert elapsed_s <= policy.total_s
    assert waits <= (policy.attempts - 1) + (policy.throttled_attempts - 1) + 1


@given(st.floats(0, 50), st.floats(0, 1))
def test_the_servers_time_is_obeyed_to_the_letter(asked_s: float, jitter: float) -> None:
    decision = decide(
        Failure.THROTTLED,
        effect=Effect.CREATE,
        tally=ONCE[Failure.THROTTLED],
        policy=Policy(),
        retry_after_s=asked_s,
        jitter=jitter,
    )
    assert decision == Wait(asked_s)


@given(st.integers(1, 99), st.floats(0, 1))
def test_without_a_time_the_wait_grows_to_its_limit(attempt: int, jitter: float) -> None:
    policy = Policy(total_s=1e9)
    decision = decide(
        Failure.THROTTLED,
        effect=Effect.READ,
        tally=Tally(throttled=attempt),
        policy=policy,
        jitter=jitter,
    )
    full_s = min(policy.first_wait_s * 2 ** (attempt - 1), policy.longest_wait_s)
    assert isinstance(decision, Wait)
    assert full_s / 2 <= decision.seconds <= full_s


def test_a_wait_beyond_the_limit_is_not_begun() -> None:
    decision = decide(
        Failure.THROTTLED,
        effect=Effect.READ,
        tally=ONCE[Failure.THROTTLED],
        policy=Policy(total_s=60),
        retry_after_s=61,
    )
    assert decision == GiveUp("60 s are the limit, and the next wait is 61.0 s")


def test_a_token_is_renewed_once() -> None:
    twice = ONCE[Failure.EXPIRED].plus(Failure.EXPIRED, elapsed_s=0)
    first = decide(
        Failure.EXPIRED, effect=Effect.CREATE, tally=ONCE[Failure.EXPIRED], policy=Policy()
    )
    second = decide(Failure.EXPIRED, effect=Effect.CREATE, tally=twice, policy=Policy())
    assert first == Wait(0.0)
    assert isinstance(second, GiveUp)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3398", 3.398),
        ("0", 0.0),
        (" 250 ", 0.25),
        ("1.5", 0.0015),
        (None, None),
        ("", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("Wed, 21 Oct 2025 07:28:00 GMT", None),
    ],
)
def test_retry_after_counts_milliseconds(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, unit_s=0.001) == seconds
