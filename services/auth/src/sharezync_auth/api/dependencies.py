"""What routes are given: the unit of work and the parts of auth, from the application's state."""

from typing import Annotated

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from sharezync_auth.keyring import Keyring
from sharezync_auth.passwords import Passwords
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases.logins import LoginOrigin
from sharezync_auth.usecases.throttling import LoginThrottle
from sharezync_shared.contracts.services import Services
from sharezync_shared.db.work import UnitsOfWork
from sharezync_shared.names.characters import one_line

_MAX_USER_AGENT = 200


async def _work(connection: HTTPConnection) -> UnitsOfWork:
    work: UnitsOfWork = connection.app.state.work
    return work


async def _passwords(connection: HTTPConnection) -> Passwords:
    passwords: Passwords = connection.app.state.passwords
    return passwords


async def _guard(connection: HTTPConnection) -> LoginThrottle:
    guard: LoginThrottle = connection.app.state.guard
    return guard


async def _settings(connection: HTTPConnection) -> AuthSettings:
    settings: AuthSettings = connection.app.state.settings
    return settings


async def _keyring(connection: HTTPConnection) -> Keyring:
    keyring: Keyring = connection.app.state.keyring
    return keyring


async def _services(connection: HTTPConnection) -> Services:
    services: Services = connection.app.state.services
    return services


async def _origin(request: Request) -> LoginOrigin:
    """Where the caller is: the gateway rebuilds X-Forwarded-For, so its first entry is true."""
    forwarded = request.headers.get("x-forwarded-for", "").split(",")[0].strip()
    peer = request.client.host if request.client else ""
    agent = one_line(request.headers.get("user-agent", "")[:_MAX_USER_AGENT])
    return LoginOrigin(address=forwarded or peer, user_agent=agent)


WorkDep = Annotated[UnitsOfWork, Depends(_work)]
PasswordsDep = Annotated[Passwords, Depends(_passwords)]
GuardDep = Annotated[LoginThrottle, Depends(_guard)]
SettingsDep = Annotated[AuthSettings, Depends(_settings)]
KeyringDep = Annotated[Keyring, Depends(_keyring)]
ServicesDep = Annotated[Services, Depends(_services)]
OriginDep = Annotated[LoginOrigin, Depends(_origin)]
