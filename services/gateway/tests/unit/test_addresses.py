"""Who the client is."""

from ipaddress import ip_network

import pytest

from sharezync_gateway.addresses import Addresses
from sharezync_gateway.proxy.headers import RequestHead
from sharezync_gateway.settings import GatewaySettings
from sharezync_shared.addresses import UNKNOWN

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def origin_address(peer: str, *forwarded_for: str) -> str:
    head = RequestHead(forwarded_for=[text.encode() for text in forwarded_for])
    return Addresses(TRUSTED).origin({"client": (peer, 1), "scheme": "http"}, head).address


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("203.0.113.1", (), "203.0.113.1"),
        ("203.0.113.1", ("10.0.0.1",), "203.0.113.1"),
        ("203.0.113.1", ("198.51.100.1",), "203.0.113.1"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("203.0.113.7",), "203.0.113.7"),
        ("10.0.0.1", ("1.2.3.4", "203.0.113.7"), "203.0.113.7"),
        ("10.0.0.1", ("1.2.3.4", "203.0.113.7", "10.0.0.2"), "203.0.113.7"),
        ("10.0.0.1", ("10.0.0.3", "10.0.0.2"), "10.0.0.3"),
        ("10.0.0.1", ("203.0.113.7", "nonsense"), "10.0.0.1"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("fd00::1", ("2001:db8::7",), "2001:db8::7"),
    ],
)
def test_the_first_stranger_from_the_end_is_the_client(
    peer: str, forwarded_for: tuple[str, ...], client: str
) -> None:
    assert origin_address(peer, *forwarded_for) == client


def test_a_peer_without_an_address_is_unknown() -> None:
    origin = Addresses(TRUSTED).origin({"client": None, "scheme": "http"}, RequestHead())
    assert origin.address == UNKNOWN


def test_only_a_trusted_peer_says_scheme_and_host() -> None:
    head = RequestHead(host=b"a", forwarded_proto=b"https", forwarded_host=b"b")
    strange = Addresses(TRUSTED).origin({"client": ("9.9.9.9", 1), "scheme": "http"}, head)
    known = Addresses(TRUSTED).origin({"client": ("10.0.0.1", 1), "scheme": "http"}, head)
    assert (strange.scheme, strange.host) == ("http", b"a")
    assert (known.scheme, known.host) == ("https", b"b")


def test_an_invented_scheme_is_not_believed() -> None:
    head = RequestHead(forwarded_proto=b"javascript")
    known = Addresses(TRUSTED).origin({"client": ("10.0.0.1", 1), "scheme": "wss"}, head)
    assert known.scheme == "https"


def test_trusted_proxies_are_read_from_a_comma_separated_list() -> None:
    settings = GatewaySettings(_env_file=None, trusted_proxies="10.0.0.0/8, fd00::/8")
    assert settings.trusted_proxies == TRUSTED


@pytest.mark.parametrize(
    "wrong", [{"trusted_proxies": "10.0.0.1/8"}, {"rate_limit_standard": "often"}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        GatewaySettings(_env_file=None, **wrong)  # type: ignore[arg-type]
