"""Capability tokens: what one opens, and everything that ends it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from services.transfer.tests.support.world import MIB, Json, Person, World, state_of
from sharezync_shared.events.contracts import UserDeleted
from sharezync_transfer.usecases.capabilities import Capabilities


async def attach(world: World, transfer: Json, token: str, status: int = 200) -> Json:
    """Ask as a gateway does that was shown a token."""
    path = f"/internal/transfers/{transfer['id']}/attach"
    answer = await world.gateway.post(path, json={"token": token})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def accepted(world: World) -> tuple[Person, Person, Json, Json]:
    """Return sender and recipient, and what each was answered."""
    ada, bob = await world.people(2)
    sent = await ada.offer(bob, files={"a": 2 * MIB})
    return ada, bob, sent, await bob.act(sent, "accept")


async def test_each_end_gets_a_token_of_its_own(world: World) -> None:
    ada, bob, sent, taken = await accepted(world)
    sending = await attach(world, sent, sent["token"])
    assert (sending["role"], sending["user_id"]) == ("sender", ada.id)
    assert sending["transfer"] == state_of(await ada.sees(sent))
    receiving = await attach(world, sent, taken["token"])
    assert (receiving["role"], receiving["user_id"]) == ("recipient", bob.id)
    assert receiving["transfer"] == state_of(await bob.sees(sent))


async def test_tokens_come_with_replies_on_a_socket_too(world: World) -> None:
    ada, bob = await world.people(2)
    started = await world.command(
        ada,
        "file_transfer_start",
        recipients=[{"user_id": bob.id}],
        files=[{"name": "a", "size": 1}],
    )
    sent = started["data"]
    taken = (await world.command(bob, "transfer_accept", transfer_id=sent["id"]))["data"]
    assert (await attach(world, sent, sent["token"]))["role"] == "sender"
    assert (await attach(world, sent, taken["token"]))["role"] == "recipient"


async def test_tokens_are_in_no_event_and_in_no_later_look(world: World) -> None:
    ada, bob, sent, _ = await accepted(world)
    for person in (ada, bob):
        assert "token" not in await person.sees(sent)
        assert not [event for event in await world.events(person) if "token" in event["data"]]


async def test_a_token_can_be_asked_for_at_any_time(world: World) -> None:
    ada, bob, sent, _ = await accepted(world)
    for person, role in ((ada, "sender"), (bob, "recipient")):
        asked = await person.act(sent, "token")
        assert asked["role"] == role
        assert asked["expires_at"] > sent["expires_at"]
        assert (await attach(world, sent, asked["token"]))["role"] == role


async def test_who_has_not_accepted_gets_none(world: World) -> None:
    ada, bob = await world.people(2)
    sent = await ada.offer(bob)
    assert await bob.refused(f"/v1/transfers/{sent['id']}/token", status=409) == "wrong-state"


async def test_who_sends_to_oneself_has_two_ends(world: World) -> None:
    laptop = await world.on_device(await world.person())
    phone = await world.on_device(laptop)
    sent = await laptop.offer(phone)
    taken = await phone.act(sent, "accept")
    for token, device, role in (
        (sent["token"], laptop, "sender"),
        (taken["token"], phone, "recipient"),
    ):
        attached = await attach(world, sent, token)
        assert (attached["role"], attached["device_id"]) == (role, device.device_id)
        # What the gateway reports for this end is taken from it.
        end = "stored" if role == "sender" else "received"
        await world.report(device, sent, **{end: dict[str, Any]()})  # type: ignore[arg-type]  # mypy takes it for `status`


Ending = Callable[[World, Person, Person, Json], Awaitable[Any]]


async def _rejected(_: World, __: Person, bob: Person, sent: Json) -> None:
    await bob.act(sent, "cancel")


async def _cancelled(_: World, ada: Person, __: Person, sent: Json) -> None:
    await ada.act(sent, "cancel")


async def _sender_deleted(world: World, ada: Person, _: Person, __: Json) -> None:
    await world.publish(UserDeleted(user_id=ada.uuid))


async def _recipient_deleted(world: World, _: Person, bob: Person, __: Json) -> None:
    await world.publish(UserDeleted(user_id=bob.uuid))


@pytest.mark.parametrize("end", [_rejected, _cancelled, _sender_deleted, _recipient_deleted])
async def test_what_ends_a_transfer_ends_its_tokens(world: World, end: Ending) -> None:
    ada, bob, sent, taken = await accepted(world)
    await end(world, ada, bob, sent)
    for token in (sent["token"], taken["token"]):
        refused = await attach(world, sent, token, 403)
        assert refused["code"] == "capability-refused"


async def test_who_left_is_out_while_the_others_go_on(world: World) -> None:
    ada, bob, eve = await world.people(3)
    sent = await ada.offer(bob, eve)
    bobs, eves = [(await each.act(sent, "accept"))["token"] for each in (bob, eve)]
    await bob.act(sent, "cancel")
    await attach(world, sent, bobs, 403)
    await attach(world, sent, eves)
    await attach(world, sent, sent["token"])


async def test_tokens_outlive_completion_as_long_as_chunks_do(world: World) -> None:
    ada, bob, sent, taken = await accepted(world)
    await world.receives(bob, sent)
    world.peers.store_everything()
    await ada.act(sent, "complete")
    for token in (sent["token"], taken["token"]):
        await attach(world, sent, token)
    await world.rows(
        "UPDATE transfer.transfers SET ended_at = ended_at - $2::interval WHERE id = $1",
        sent["id"],
        world.app.state.settings.keep_completed,
    )
    for token in (sent["token"], taken["token"]):
        await attach(world, sent, token, 403)


async def test_a_token_opens_no_other_transfer(world: World) -> None:
    ada, bob, sent, _ = await accepted(world)
    other = await ada.offer(bob)
    assert (await attach(world, other, sent["token"], 403))["code"] == "capability-refused"


async def test_what_is_no_token_of_ours_opens_nothing(world: World) -> None:
    ada, _, sent, taken = await accepted(world)
    head, claims, signature = sent["token"].split(".")
    stranger = Capabilities("somebody else's secret").issue(
        transfer_id=sent["id"],
        role="sender",
        user_id=ada.uuid,
        until=world.core.work.now() + timedelta(days=1),
    )
    late = Capabilities(world.app.state.settings.require_secret_key()).issue(
        transfer_id=sent["id"],
        role="sender",
        user_id=ada.uuid,
        until=world.core.work.now() - timedelta(seconds=1),
    )
    for token in (
        "x", "szt1", "szt1..", "é.é.é", stranger, late,
        f"{head}.{claims}", f"{head}.{claims}.", f"szt2.{claims}.{signature}",
        f"{head}.{taken['token'].split('.')[1]}.{signature}", f"{head}.{claims}.{signature[:-2]}é",
        f"{sent['token']}x", f" {sent['token']}",
    ):  # fmt: skip
        assert (await attach(world, sent, token, 403))["code"] == "capability-refused", token


async def test_a_gateway_names_a_user_or_shows_a_token(world: World) -> None:
    ada, bob = await world.people(2)
    sent = await ada.offer(bob)
    path = f"/internal/transfers/{sent['id']}/attach"
    for body in ({}, {"user_id": ada.id, "token": sent["token"]}, {"token": "x" * 513}):
        assert (await world.gateway.post(path, json=body)).status_code == 422
