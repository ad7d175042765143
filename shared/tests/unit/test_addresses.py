import pytest

from sharezync_shared.addresses import UNKNOWN, bucket_of


@pytest.mark.parametrize(
    ("address", "bucket"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("64:ff9b::203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("unknown", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_addresses_of_one_site_count_together(address: str, bucket: str) -> None:
    assert bucket_of(address) == bucket
