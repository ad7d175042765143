"""What the gateway can be told, and what it refuses to be told."""

import pytest
from pydantic import ValidationError

from sharezync_gateway.settings import GatewaySettings


@pytest.mark.parametrize("url", ["https://a.test", "http://[::1]:8000/", "https://a.test/b/c"])
def test_a_public_address_is_taken(url: str) -> None:
    assert GatewaySettings(_env_file=None, public_url=url).public_url == url


@pytest.mark.parametrize("url", ["a.test", "https://a b", "https://a.test/?x", "ftp://a.test"])
def test_what_is_no_public_address_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        GatewaySettings(_env_file=None, public_url=url)
