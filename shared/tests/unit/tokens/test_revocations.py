from shared.tests.unit.tokens.conftest import FakeClock
from sharezync_shared.ids import SessionId, UserId, uuid7
from sharezync_shared.tokens.claims import Identity
from sharezync_shared.tokens.verifier import Revocations

USER, OTHER, SESSION = UserId(uuid7()), UserId(uuid7()), SessionId(uuid7())
LIFETIME, LEEWAY = 600, 10


def identity(issued_at: float, user_id: UserId = USER, session_id: SessionId = SESSION) -> Identity:
    return Identity(
        user_id=user_id,
        session_id=session_id,
        device_id=None,
        scope=frozenset({"user"}),
        expires_at=int(issued_at) + LIFETIME,
        token_id="t",
        issued_at=int(issued_at),
    )


def test_nothing_is_covered_at_first(revocations: Revocations, clock: FakeClock) -> None:
    assert not revocations.covers(identity(clock.now))


def test_a_revoked_session_covers_its_tokens_and_no_others(
    revocations: Revocations, clock: FakeClock
) -> None:
    revocations.revoke_session(SESSION)
    assert revocations.covers(identity(clock.now))
    assert not revocations.covers(identity(clock.now, session_id=SessionId(uuid7())))


def test_a_revoked_user_is_covered_in_every_session_and_no_other_user_is(
    revocations: Revocations, clock: FakeClock
) -> None:
    revocations.revoke_user(USER)
    assert revocations.covers(identity(clock.now, session_id=SessionId(uuid7())))
    assert not revocations.covers(identity(clock.now, user_id=UserId(uuid7())))


def test_a_user_is_revoked_up_to_a_time(revocations: Revocations, clock: FakeClock) -> None:
    revocations.revoke_user(USER, not_before=clock.now)
    assert revocations.covers(identity(clock.now))  # of the same second: may be from before
    assert not revocations.covers(identity(clock.now + 1))
    revocations.revoke_user(OTHER, not_before=int(clock.now))
    assert revocations.covers(identity(int(clock.now), OTHER)), "also where it is a whole one"
    revocations.revoke_user(USER, not_before=clock.now - 100)
    assert revocations.covers(identity(clock.now)), "an older news must not undo a newer one"


def test_without_a_time_the_clock_of_auth_may_be_ahead(
    revocations: Revocations, clock: FakeClock
) -> None:
    revocations.revoke_user(USER)
    assert revocations.covers(identity(clock.now + LEEWAY))
    assert not revocations.covers(identity(clock.now + LEEWAY + 1))


def test_an_identity_of_unknown_age_counts_as_old(
    revocations: Revocations, clock: FakeClock
) -> None:
    revocations.revoke_user(USER, not_before=clock.now)
    assert revocations.covers(identity(0))


def test_entries_go_when_no_token_of_theirs_can_be_left(
    revocations: Revocations, clock: FakeClock
) -> None:
    revocations.revoke_session(SESSION)
    revocations.revoke_user(USER)
    clock.pass_seconds(LIFETIME + 2 * LEEWAY - 1)
    revocations.revoke_session(SessionId(uuid7()))
    assert revocations.covers(identity(clock.now - LIFETIME))
    assert len(revocations) == 3
    clock.pass_seconds(1)
    revocations.revoke_user(UserId(uuid7()))
    assert len(revocations) == 2


def test_revoking_again_prolongs(revocations: Revocations, clock: FakeClock) -> None:
    revocations.revoke_session(SESSION)
    revocations.revoke_session(SessionId(uuid7()))
    revocations.revoke_user(USER)
    revocations.revoke_user(UserId(uuid7()))
    clock.pass_seconds(400)
    revocations.revoke_session(SESSION)
    revocations.revoke_user(USER)
    clock.pass_seconds(400)
    revocations.revoke_session(SessionId(uuid7()))
    assert revocations.covers(identity(clock.now))
    assert len(revocations) == 3, "what was revoked once is gone, though it came later"


def test_size_stays_bounded_by_what_is_revoked_in_one_lifetime(
    revocations: Revocations, clock: FakeClock
) -> None:
    for _ in range(5_000):
        revocations.revoke_session(SessionId(uuid7()))
        revocations.revoke_user(UserId(uuid7()))
        clock.pass_seconds(1)
    assert len(revocations) <= 2 * (LIFETIME + 2 * LEEWAY)
