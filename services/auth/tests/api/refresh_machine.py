"""What people, thieves and time do to logins, each a rule that insists on the model's answer."""

import asyncio
import base64
import secrets
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import httpx
import jwt
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from services.auth.tests.api.conftest import Auth
from services.auth.tests.api.refresh_model import Login, Model, Person
from sharezync_auth import refresh
from sharezync_testkit.threads import LoopThread

IDLE: Final = timedelta(days=30)
LONGEST: Final = timedelta(days=90)
# Around what matters: the grace of a minute, the end of an idle login, the end of any.
SHORT: Final = [timedelta(seconds=seconds) for seconds in (0, 60, 61, 86_400)]
LONG: Final = [IDLE - timedelta(seconds=1), IDLE, timedelta(days=20)]
AGENTS: Final = ["phone", "laptop", "a thief"]

pauses: Final = st.sampled_from(SHORT)
picks: Final = st.integers(0, 5)
agents: Final = st.sampled_from(AGENTS)


def somebody_is_logged_in(machine: "Refreshing") -> bool:
    return any(machine.model.lives(login) for _, login in machine.model.logins())


class Refreshing(RuleBasedStateMachine):
    """Two people, and whatever befalls them."""

    people = Bundle("people")
    logins = Bundle("logins")

    def __init__(self, auth: Auth, loop: LoopThread) -> None:
        super().__init__()
        self.auth = auth
        self.loop = loop
        # Not in the past: what is in the outbox would be taken for left behind, and be told again
        # by the sweep while it is being told.
        tomorrow = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
        self.model = Model(tomorrow, IDLE, LONGEST)
        auth.app.state.work.now = lambda: self.model.now
        auth.frames.clear()
        # The clock goes back with each story, and a wait that is over would begin again.
        loop.do(auth.rows("DELETE FROM auth.throttles"))

    # --- asking the service ------------------------------------------------------------------

    def ask(self, method: str, path: str, by: Login | None = None, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {by.access_token}"} if by else {}
        return self.loop.do(self.auth.http.request(method, path, headers=headers, **more))

    async def show(self, token: str, agent: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return await self.auth.http.post("/token", data=form, headers={"User-Agent": agent})

    def refused(self, token: str) -> None:
        answer = self.loop.do(self.show(token, "a thief"))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant"), answer.text

    def holds(self, login: Login, answer: httpx.Response, expected: str | None) -> None:
        """See that an answer is what the model says, and remember the token in it."""
        if expected is None:
            assert answer.status_code == 400, answer.text
            assert answer.json()["error"] == "invalid_grant"
            return
        assert answer.status_code == 200, answer.text
        login.access_token = answer.json()["access_token"]
        token = answer.json()["refresh_token"]
        if expected == "next":
            assert token not in login.tokens
            login.tokens.append(token)
        assert token == login.tokens[-1]
        assert sid(login.access_token) == login.id

    # --- people and their logins -------------------------------------------------------------

    @initialize(target=people)
    def two_people(self) -> Any:
        return multiple(self.register(), self.register())

    def register(self) -> Person:
        name, password = f"m_{secrets.token_hex(6)}", "the first password"
        body = {"username": name, "email": f"{name}@example.com", "password": password}
        answer = self.ask("POST", "/v1/auth/register", json=body)
        assert answer.status_code == 201, answer.text
        person = Person(answer.json()["id"], name, password)
        self.model.people.append(person)
        return person

    @rule(target=logins, person=people, agent=agents)
    def log_in(self, person: Person, agent: str) -> Any:
        form = {"grant_type": "password", "username": person.username, "password": person.password}
        answer = self.loop.do(
            self.auth.http.post("/token", data=form, headers={"User-Agent": agent})
        )
        if person.gone:
            assert answer.json()["error"] == "invalid_grant"
            return multiple()
        assert answer.status_code == 200, answer.text
        tokens = answer.json()
        now = self.model.now
        login = Login(
            sid(tokens["access_token"]), tokens["access_token"], [tokens["refresh_token"]],
            used_at=now, began_at=now, turned_at=now, agent=agent,
        )  # fmt: skip
        person.logins.append(login)
        return login

    @rule(pause=st.sampled_from(SHORT + LONG))
    def time_passes(self, pause: timedelta) -> None:
        self.model.now += pause

    # --- refresh tokens ----------------------------------------------------------------------

    @rule(login=logins, pause=pauses, agent=agents)
    def show_the_present_one(self, login: Login, pause: timedelta, agent: str) -> None:
        self.show_one(login, 0, pause, agent)

    @rule(login=logins, back=st.integers(2, 4), pause=pauses)
    def show_an_older_one(self, login: Login, back: int, pause: timedelta) -> None:
        self.show_one(login, back, pause, "a thief")

    @precondition(somebody_is_logged_in)
    @rule(pick=picks, steps=st.lists(st.tuples(st.integers(0, 1), pauses), max_size=8))
    def two_show_in_turn(self, pick: int, steps: list[tuple[int, timedelta]]) -> None:
        """Somebody goes on, and somebody, they or a thief, shows the one before."""
        login = self.living(pick)
        for back, pause in steps:
            self.show_one(login, back, pause, "a thief" if back else "phone")

    def show_one(self, login: Login, back: int, pause: timedelta, agent: str) -> None:
        self.model.now += pause
        if back < len(login.tokens):
            answer = self.loop.do(self.show(login.tokens[-1 - back], agent))
            self.holds(login, answer, self.model.show(login, back, agent))

    @rule(login=logins, back=st.integers(0, 2))
    def show_the_same_twice_at_once(self, login: Login, back: int) -> None:
        if back >= len(login.tokens):
            return

        async def both() -> tuple[httpx.Response, httpx.Response]:
            token = login.tokens[-1 - back]
            return await asyncio.gather(self.show(token, "one tab"), self.show(token, "one tab"))

        first, second = self.loop.do(both())
        self.holds(login, first, self.model.show(login, back, "one tab"))
        # The one that had to wait showed what was the present one a moment ago.
        behind = back or 1
        self.holds(login, second, self.model.show(login, behind, "one tab"))

    @rule(login=logins, byte=st.integers(0, 36), bit=st.integers(0, 7))
    def show_a_forged_one(self, login: Login, byte: int, bit: int) -> None:
        raw = bytearray(unwrapped(login.tokens[-1]))
        raw[byte] ^= 1 << bit
        self.refused(wrapped(bytes(raw)))

    @rule(login=logins, other=logins)
    def show_one_with_the_seal_of_another(self, login: Login, other: Login) -> None:
        body, seal = unwrapped(login.tokens[-1])[:-16], unwrapped(other.tokens[-1])[-16:]
        if login is not other:
            self.refused(wrapped(body + seal))

    @rule(login=logins, ahead=st.integers(1, 3))
    def show_one_from_the_future(self, login: Login, ahead: int) -> None:
        rows = self.loop.do(
            self.auth.rows("SELECT refresh_key FROM auth.sessions WHERE id = $1", UUID(login.id))
        )
        for row in rows:
            future = refresh.seal(UUID(login.id), len(login.tokens) + ahead, row["refresh_key"])
            self.refused(future)

    @rule(login=logins)
    def show_what_is_no_refresh_token(self, login: Login) -> None:
        self.refused(login.access_token)
        bearer = {"Authorization": f"Bearer {login.tokens[-1]}"}
        answer = self.loop.do(self.auth.http.get("/v1/users/me", headers=bearer))
        assert answer.status_code == 401

    # --- what ends logins --------------------------------------------------------------------

    @precondition(somebody_is_logged_in)
    @rule(pick=picks, scope=st.sampled_from(["local", "others", "global"]))
    def log_out(self, pick: int, scope: str) -> None:
        login = self.living(pick)
        answer = self.ask("POST", "/v1/auth/logout", login, json={"scope": scope})
        assert answer.status_code == 204, answer.text
        for each in self.owner(login).logins:
            each.ended |= {"local": each is login, "others": each is not login}.get(scope, True)

    @precondition(somebody_is_logged_in)
    @rule(pick=picks, other=logins)
    def revoke(self, pick: int, other: Login) -> None:
        by = self.living(pick)
        if self.model.ran_out(other):
            return
        mine = other in self.owner(by).logins
        answer = self.ask("DELETE", f"/v1/auth/sessions/{other.id}", by)
        assert answer.status_code == (204 if mine and not other.ended else 404), answer.text
        other.ended |= mine

    @precondition(somebody_is_logged_in)
    @rule(pick=picks)
    def change_the_password(self, pick: int) -> None:
        login = self.living(pick)
        person = self.owner(login)
        new = secrets.token_hex(8)
        body = {"current_password": person.password, "new_password": new}
        answer = self.ask("POST", "/v1/auth/password", login, json=body)
        assert answer.status_code == 204, answer.text
        person.password = new
        for each in person.logins:
            each.ended |= each is not login

    @precondition(lambda self: somebody_is_logged_in(self) and self.count() > 4)  # so much ends
    @rule(pick=picks)
    def delete_the_account(self, pick: int) -> None:
        login = self.living(pick)
        person = self.owner(login)
        body = {"password": person.password}
        assert self.ask("DELETE", "/v1/users/me", login, json=body).status_code == 204
        person.gone = True
        for each in person.logins:
            each.ended = True

    # --- choosing ----------------------------------------------------------------------------

    def living(self, pick: int) -> Login:
        """Return one of the logins that live, of anybody's."""
        living = [login for _, login in self.model.logins() if self.model.lives(login)]
        return living[pick % len(living)]

    def count(self) -> int:
        return len(list(self.model.logins()))

    def owner(self, login: Login) -> Person:
        return next(person for person, each in self.model.logins() if each is login)

    # --- what must hold after each of these --------------------------------------------------

    @invariant()
    def the_list_shows_the_living(self) -> None:
        for person in self.model.people:
            living = self.model.living(person)
            for viewer in living[-1:]:
                items = self.ask("GET", "/v1/auth/sessions", viewer).json()["items"]
                assert {item["id"]: item["user_agent"] for item in items} == {
                    login.id: login.agent for login in living
                }
                assert [item["id"] for item in items if item["current"]] == [viewer.id]

    @invariant()
    def gateways_are_told_of_each_end_once(self) -> None:
        self.loop.do(self.auth.told())
        told = Counter(
            session_id
            for frame in self.auth.frames
            if frame.control
            for session_id in frame.control.revoke_sessions
        )
        for _, login in self.model.logins():
            if login.ended:
                assert told[login.id] == 1, f"told {told[login.id]} times"
            else:
                assert login.id not in told


def sid(access_token: str) -> str:
    claims = jwt.decode(access_token, options={"verify_signature": False})
    return str(claims["sid"])


def unwrapped(token: str) -> bytes:
    text = token.removeprefix("szr_")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def wrapped(raw: bytes) -> str:
    return "szr_" + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
