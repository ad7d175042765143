"""What must become of logins and their refresh tokens, told in other words than the service's.

A login is a row of numbered tokens, of which the last is the present one. Times are exact: the
clock of the service stands still between two steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

SOON: Final = timedelta(seconds=60)


@dataclass
class Login:
    """A session, and every token that it gave out, the first first."""

    id: str
    access_token: str
    tokens: list[str]
    used_at: datetime
    began_at: datetime
    turned_at: datetime
    agent: str
    late: set[int] = field(default_factory=set)
    """How many tokens there were whenever the last of them was given once more, late."""
    ended: bool = False


@dataclass
class Person:
    """A user. `gone` is one whose account is deleted."""

    id: str
    username: str
    password: str
    logins: list[Login] = field(default_factory=list)
    gone: bool = False


@dataclass
class Model:
    """Everybody, and what time it is."""

    now: datetime
    idle: timedelta
    longest: timedelta
    people: list[Person] = field(default_factory=list)

    def lives(self, login: Login) -> bool:
        return not login.ended and not self.ran_out(login)

    def ran_out(self, login: Login) -> bool:
        return self.now - login.used_at >= self.idle or self.now - login.began_at >= self.longest

    def living(self, person: Person) -> list[Login]:
        return [login for login in person.logins if self.lives(login)]

    def logins(self) -> Iterator[tuple[Person, Login]]:
        for person in self.people:
            for login in person.logins:
                yield person, login

    def show(self, login: Login, back: int, agent: str) -> str | None:
        """Show the token that is `back` steps older than the present one.

        Returns what must be answered: "again" (the present token), "next" (one never seen), or
        None (a refusal).
        """
        if not self.lives(login):
            return None
        count = len(login.tokens)
        if back == 0:
            login.turned_at = self.now
            return self._use(login, agent, "next")
        if back == 1 and self.now - login.turned_at <= SOON:
            return self._use(login, agent, "again")
        if back == 1 and count - 1 not in login.late:
            login.late.add(count)
            return self._use(login, agent, "again")
        login.ended = True
        return None

    def _use(self, login: Login, agent: str, answer: str) -> str:
        login.used_at = self.now
        login.agent = agent
        return answer
