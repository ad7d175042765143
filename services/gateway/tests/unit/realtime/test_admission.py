"""How many sockets there may be, and of whom."""

import pytest

from sharezync_gateway.realtime.admission import Admission, Slot
from sharezync_gateway.realtime.socket_limits import SocketLimits
from sharezync_shared.problems import Problem

OFFICE = "192.0.2.7"


def fill(admission: Admission, *addresses: str, authenticated: bool = False) -> list[Slot]:
    return [admission.admit(address, authenticated=authenticated) for address in addresses]


def refusal(admission: Admission, address: str, *, authenticated: bool = False) -> Problem:
    with pytest.raises(Problem) as refused:
        admission.admit(address, authenticated=authenticated)
    assert 0 < getattr(refused.value, "retry_after_seconds", 0) < 60
    return refused.value


def test_a_process_has_so_many_sockets_and_no_more() -> None:
    admission = Admission(SocketLimits(max_connections=10))
    slots = fill(admission, *[OFFICE] * 10, authenticated=True)
    assert refusal(admission, "198.51.100.1", authenticated=True).status == 503
    slots[0].leave()
    slots[0].leave()  # safe to repeat
    fill(admission, OFFICE, authenticated=True)
    assert refusal(admission, OFFICE).status == 503


def test_those_without_a_token_leave_room_for_those_who_have_one() -> None:
    admission = Admission(SocketLimits(max_connections=400))
    slots = fill(admission, *(f"198.51.100.{n}" for n in range(40)))
    assert refusal(admission, OFFICE).status == 503
    fill(admission, *[OFFICE] * 300, authenticated=True)
    slots[0].authenticated()
    slots[0].authenticated()
    fill(admission, OFFICE)
    assert (admission.open, admission.unauthenticated) == (341, 40)
    for slot in slots:
        slot.leave()
    assert (admission.open, admission.unauthenticated) == (301, 1)


@pytest.mark.parametrize(
    ("one", "same", "another"),
    [(OFFICE, OFFICE, "192.0.2.8"), ("2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1")],
)
def test_one_address_has_a_part_of_what_is_for_those_without_a_token(
    one: str, same: str, another: str
) -> None:
    admission = Admission(SocketLimits(max_connections=400))
    slots = fill(admission, *[one] * 10)
    assert refusal(admission, same).status == 429
    fill(admission, another)
    # An office behind one address: who is known makes room, and counts no more.
    for slot in slots:
        slot.authenticated()
    fill(admission, *[same] * 10)
    fill(admission, *[same] * 100, authenticated=True)


def test_nothing_is_kept_of_addresses_and_users_that_have_gone() -> None:
    admission = Admission(SocketLimits(max_connections_per_user=2))
    for slot in fill(admission, *(f"198.51.100.{n}" for n in range(100))):
        slot.leave()
    assert not admission._by_address
    assert admission.may_start("ada", 0)
    admission.sweep(0.4)
    assert admission._starts
    admission.sweep(0.5)
    assert not admission._starts


def test_one_user_opens_so_many_sockets_in_a_short_time() -> None:
    admission = Admission(SocketLimits(max_connections_per_user=20))
    assert [admission.may_start("ada", 0) for _ in range(150)] == [True] * 100 + [False] * 50
    assert admission.may_start("bob", 0)
    assert admission.may_start("ada", 0.5)
    assert not admission.may_start("ada", 0.5)
