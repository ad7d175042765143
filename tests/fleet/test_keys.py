"""Signing keys are exchanged while everybody works, and nobody is refused."""

import asyncio
import base64
import itertools
import json
import secrets
from collections import Counter
from dataclasses import dataclass, field

import httpx
import pytest

from sharezync_shared.tokens.credentials import derive_service_secret
from sharezync_testkit.drilled_fleet import DrilledFleet
from tests.blackbox.people import Json, Person
from tests.blackbox.test_files import upload
from tests.fleet.conftest import KEYS_KEPT_SECONDS, SECRET_KEY
from tests.fleet.crowd import Crowd, tell, until

pytestmark = pytest.mark.timeout(180)

ROTATIONS = 3
CREDENTIALS = ("gateway", derive_service_secret(SECRET_KEY, "gateway"))
BREATH_SECONDS = 0.2  # between two requests of one client: two cores are shared by all

PATHS = ("/v1/users/me", "/v1/memberships", "/v1/transfers", "/v1/files")
EVERYTHING = {*PATHS, "refresh", "attach", "authenticate", "connect", "credentials", "internal"}


@dataclass
class Diary:
    """How everybody fared: answers by what was asked, those that were no success, keys met."""

    answers: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def note(self, what: str, answer: httpx.Response) -> httpx.Response:
        self.answers[what] += 1
        if not answer.is_success:
            self.refused.append(f"{what}: {answer.status_code} {answer.text[:200]}")
        return answer

    async def has_news_of_all(self, key: str, since: Counter[str]) -> bool:
        """Whether clients met this key, and everything was asked once more."""
        return key in self.keys and all(self.answers[what] > since[what] for what in EVERYTHING)

    def met(self, token: str) -> str:
        self.keys.add(str(header_of(token)["kid"]))
        return token


def header_of(token: str) -> Json:
    head = token.split(".", maxsplit=1)[0]
    return dict(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))))


async def test_keys_rotate_and_nobody_is_refused(crowd: Crowd, fleet: DrilledFleet) -> None:
    """Rotated with `--now`, under the very condition that `rotate-keys` alone waits for.

    That condition is that every verifier knows the next key before it signs. The command takes it
    for fulfilled after two lifespans of the published set and another minute, in which each auth
    process has looked at the keys. Here the test sees that each of them publishes the next key,
    and waits for the two lifespans.
    """
    diary = Diary()
    people = [await crowd.register(f"client{n}", gateway=n % 2) for n in range(6)]
    old = [crowd.by_way_of(people[0], gateway) for gateway in range(2)]
    tasks = [
        asyncio.create_task(work)
        for work in (
            _reads(diary, people[0], crowd.by_way_of(people[0], 1)),
            _refreshes(diary, people[1], crowd.by_way_of(people[1], 0)),
            _refreshes(diary, people[2], crowd.by_way_of(people[2], 1)),
            _attaches(diary, people[3]),
            _stays_connected(diary, people[4]),
            _connects_anew(diary, crowd, people[5]),
            _services_call(diary, fleet.urls["auth"], fleet.urls["chat"][0], people[0].id),
        )
    ]
    kept: list[Person] = []
    seen: list[float] = []
    try:
        for number in range(ROTATIONS):
            fresh = await crowd.log_in(people[0], gateway=number % 2)
            kept += [crowd.by_way_of(fresh, gateway) for gateway in range(2)]
            await until(_same_keys_everywhere, fleet)
            await asyncio.sleep(2 * KEYS_KEPT_SECONDS)

            rotated = await asyncio.to_thread(fleet.run, "auth", "rotate-keys", "--now", "--json")
            states = {key["kid"]: key["state"] for key in json.loads(rotated)}
            (signing,) = [kid for kid, state in states.items() if state == "active"]
            seen.append(await until(_signs_everywhere, fleet, people[0], signing))
            await until(diary.has_news_of_all, signing, diary.answers.copy())
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)

    tell(f"of {sum(diary.answers.values())} answers none was a refusal; a key signed after", seen)
    assert diary.refused == []
    assert [end for end in ends if not isinstance(end, asyncio.CancelledError)] == []
    assert diary.answers.keys() == EVERYTHING
    for login in old + kept:  # their keys sign no more
        assert (await login.get("/v1/users/me"))["id"] == login.id


async def _reads(diary: Diary, *logins: Person) -> None:
    """With the token of before the first rotation, all the time."""
    for login, path in itertools.cycle(itertools.product(logins, PATHS)):
        diary.note(path, await login.http.get(path))
        await asyncio.sleep(BREATH_SECONDS)


async def _refreshes(diary: Diary, login: Person, elsewhere: Person) -> None:
    """With a new token for each request, at the other gateway than it came from."""
    while True:
        form = {"grant_type": "refresh_token", "refresh_token": login.tokens["refresh_token"]}
        answer = diary.note("refresh", await login.http.post("/token", data=form))
        for each in (login, elsewhere):
            each.use(answer.json())
        diary.met(login.token)
        diary.note("/v1/users/me", await elsewhere.http.get("/v1/users/me"))
        diary.note("/v1/memberships", await elsewhere.http.get("/v1/memberships"))
        await asyncio.sleep(BREATH_SECONDS)


async def _attaches(diary: Diary, login: Person) -> None:
    """Makes chat call storage for each message."""
    channel_id = await login.channel()
    file = await upload(login)
    while True:
        body = {"text": "look", "attachments": [file["id"]]}
        path = f"/v1/channels/{channel_id}/messages"
        diary.note("attach", await login.http.post(path, json=body))
        await asyncio.sleep(BREATH_SECONDS)


async def _stays_connected(diary: Diary, login: Person) -> None:
    """Gives one socket a fresh token, again and again."""
    async with login.connected() as socket:
        while True:
            await login.log_in()
            reply = await socket.command("authenticate", token=diary.met(login.token))
            diary.answers["authenticate"] += 1
            if reply["type"] != "reply":
                diary.refused.append(str(reply))
            await asyncio.sleep(5 * BREATH_SECONDS)


async def _connects_anew(diary: Diary, crowd: Crowd, login: Person) -> None:
    """Has gateways call auth for a device that they never saw."""
    ways = itertools.cycle([login, crowd.by_way_of(login, 1)])
    for number, way in enumerate(ways):
        async with way.connected(f"device-{number % 50}"):
            diary.answers["connect"] += 1
        await asyncio.sleep(5 * BREATH_SECONDS)


async def _services_call(diary: Diary, auths: list[str], chat: str, user_id: str) -> None:
    """A new service token for each call, from one auth process, and to the other."""
    async with httpx.AsyncClient() as http:
        for here, there in itertools.cycle([auths, auths[::-1]]):
            grant = {"grant_type": "client_credentials"}
            answer = await http.post(f"{here}/token", data=grant, auth=CREDENTIALS)
            token = diary.met(diary.note("credentials", answer).json()["access_token"])
            for url in (
                f"{there}/internal/revocations?since_seconds=1",
                f"{chat}/internal/streams/heads?user_id={user_id}",
            ):
                headers = {"Authorization": f"Bearer {token}"}
                diary.note("internal", await http.get(url, headers=headers))
            await asyncio.sleep(BREATH_SECONDS)


async def _published(fleet: DrilledFleet) -> list[set[str]]:
    """Return the ids of the keys that each auth process publishes."""
    async with httpx.AsyncClient() as http:
        answers = [await http.get(f"{url}/.well-known/jwks.json") for url in fleet.urls["auth"]]
        return [{key["kid"] for key in answer.json()["keys"]} for answer in answers]


async def _same_keys_everywhere(fleet: DrilledFleet) -> bool:
    first, *others = await _published(fleet)
    return all(other == first for other in others)


async def _signs_everywhere(fleet: DrilledFleet, person: Person, kid: str) -> bool:
    """Whether each auth process signs with this key; makes them look at the keys.

    They look by themselves every 30 s, and at once for a token of a key that they don't know.
    """
    _, dot, rest = person.token.partition(".")
    strange = json.dumps({**header_of(person.token), "kid": secrets.token_hex(8)}).encode()
    forged = base64.urlsafe_b64encode(strange).decode().rstrip("=") + dot + rest
    signed = []
    async with httpx.AsyncClient(auth=CREDENTIALS) as http:
        for url in fleet.urls["auth"]:
            bearer = {"Authorization": f"Bearer {forged}"}
            refused = await http.get(f"{url}/v1/users/me", headers=bearer, auth=None)
            assert refused.status_code == 401
            given = await http.post(f"{url}/token", data={"grant_type": "client_credentials"})
            signed.append(header_of(given.json()["access_token"])["kid"])
    return signed == [kid] * len(signed)
