"""The parts of auth, as its use cases and routes are given them."""

from dataclasses import dataclass

from sharezync_auth.keyring import Keyring
from sharezync_auth.metrics import AuthMetrics
from sharezync_auth.passwords import Passwords
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases.throttling import LoginThrottle
from sharezync_shared.contracts.services import Services
from sharezync_shared.work import UnitsOfWork


@dataclass(frozen=True, slots=True)
class AuthContext:
    """What auth is made of."""

    work: UnitsOfWork
    settings: AuthSettings
    services: Services
    keyring: Keyring
    passwords: Passwords
    throttle: LoginThrottle
    metrics: AuthMetrics
