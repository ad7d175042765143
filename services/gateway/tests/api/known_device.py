"""A device that auth knows."""

from sharezync_shared.contracts.auth import ConnectedDevice
from sharezync_shared.ids import uuid7


def known_device() -> ConnectedDevice:
    """Return a device with a new id."""
    return ConnectedDevice(uuid7())
