"""What auth serves to the other services."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import Field

from sharezync_shared.calls.operations import Operation, joined, portions
from sharezync_shared.contracts.streams import StreamsClient
from sharezync_shared.ids import UserId
from sharezync_shared.names.policies import Parsed
from sharezync_shared.problems import Conflict

WhoMayAdd = Literal["everybody", "known", "nobody"]

MAX_NAMES: Final = 100
"""Users whose names are asked for at once."""
MAX_ASKED: Final = 200
"""Users or devices in any other question."""
MAX_CHANGES: Final = 5000
"""Devices in one update of a node, of either kind."""
MAX_SEQ: Final = 2**63 - 1


class TooManyDevices(Conflict):
    """With `limit`."""

    slug, title = "too-many-devices", "The limit of devices is reached; delete a device first"


@dataclass(frozen=True, slots=True)
class NamesOf:
    """Users whose names are wanted."""

    ids: Annotated[Parsed, Field(description="Comma-separated ids, at most 100", max_length=4000)]


@dataclass(frozen=True, slots=True)
class UserNames:
    """Names of a user, and what else of a profile is asked for by id."""

    id: UUID
    username: str
    display_name: str
    who_may_add: WhoMayAdd = "everybody"
    avatar_file_id: Annotated[UUID | None, Field(description="File that is the avatar")] = None


@dataclass(frozen=True, slots=True)
class UserNamesList:
    """Names of users; those that don't exist are left out."""

    users: list[UserNames]


@dataclass(frozen=True, slots=True)
class BlocksAsked:
    """A user, and others to look for blocks with."""

    user_id: UUID
    other_ids: Annotated[list[UUID], Field(max_length=MAX_ASKED)]


@dataclass(frozen=True, slots=True)
class BlocksRead:
    """Blocks between a user and others."""

    ids: Annotated[list[UUID], Field(description="All of them")]
    blocked: Annotated[list[UUID], Field(description="Users blocked by the user")] = field(
        default_factory=list
    )
    blocking: Annotated[list[UUID], Field(description="Users who have blocked the user")] = field(
        default_factory=list
    )


@dataclass(frozen=True, slots=True)
class ContactRulesFrom:
    """Where a page of contact rules begins."""

    after: Annotated[UUID | None, Field(description="`next` of the previous page")] = None


@dataclass(frozen=True, slots=True)
class ContactRules:
    """Who may contact a user."""

    user_id: UUID
    username: str
    display_name: str
    who_may_add: WhoMayAdd
    version: Annotated[int, Field(description="Version of the list of blocked users")]
    blocked_ids: Annotated[list[UUID], Field(description="Ids of the blocked users")]


@dataclass(frozen=True, slots=True)
class ContactRulesPage:
    """A page of contact rules."""

    items: list[ContactRules]
    next: Annotated[
        UUID | None, Field(description="`after` of the next page; null on the last page")
    ]


@dataclass(frozen=True, slots=True)
class DeviceConnect:
    """A device that has opened a connection."""

    user_id: UUID
    client_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._~-]{1,64}$", examples=["laptop-7f3a"])]
    session_id: Annotated[UUID | None, Field(description="Session of the connection")] = None


@dataclass(frozen=True, slots=True)
class ConnectedDevice:
    """A registered device."""

    id: UUID


@dataclass(frozen=True, slots=True)
class DeviceOf:
    """A device and its supposed owner."""

    user_id: UUID
    device_id: UUID


@dataclass(frozen=True, slots=True)
class DevicesAsked:
    """Devices and their supposed owners."""

    devices: Annotated[list[DeviceOf], Field(max_length=MAX_ASKED)]


@dataclass(frozen=True, slots=True)
class DevicesOwned:
    """The devices that belong to their supposed owner."""

    devices: list[DeviceOf]


@dataclass(frozen=True, slots=True)
class NodeUpdate:
    """Devices that were connected to and disconnected from a gateway node since an earlier update.

    An update without changes is a heartbeat.
    """

    seq: Annotated[
        int, Field(strict=True, ge=1, le=MAX_SEQ, description="Number of this update, ascending")
    ]
    after: Annotated[
        int,
        Field(
            strict=True,
            ge=0,
            le=MAX_SEQ,
            description="Number of the update that the changes are based on; 0 if this is a "
            "snapshot: all other devices are disconnected",
        ),
    ]
    connected: Annotated[list[UUID], Field(max_length=MAX_CHANGES, description="Ids of devices")]
    disconnected: Annotated[list[UUID], Field(max_length=MAX_CHANGES, description="Ids of devices")]


@dataclass(frozen=True, slots=True)
class NodeLease:
    """Whether an update of a node was accepted, and how long its devices stay online."""

    lease_seconds: Annotated[float, Field(description="Seconds until the lease expires")]
    seq: Annotated[int, Field(description="Number of the last accepted update; 0: none")]
    accepted: Annotated[
        bool, Field(description="False if the node must send a snapshot with a higher number")
    ]


@dataclass(frozen=True, slots=True)
class PresenceAsked:
    """Users whose presence is wanted."""

    user_ids: Annotated[list[UserId], Field(max_length=MAX_ASKED)]


@dataclass(frozen=True, slots=True)
class Presence:
    """Presence of users. Those without a device are in neither field."""

    online: Annotated[list[UUID], Field(description="Ids of the users with a connected device")]
    last_seen: Annotated[
        dict[UUID, datetime],
        Field(description="When a device of each user was last connected, by user id"),
    ]


@dataclass(frozen=True, slots=True)
class RevocationsSince:
    """How far to look back for revocations."""

    since_seconds: Annotated[
        int, Field(ge=0, le=7 * 86400, description="How far to look back, in seconds")
    ]


@dataclass(frozen=True, slots=True)
class RevocationList:
    """Sessions and accounts that ended within the requested time."""

    sessions: Annotated[list[UUID], Field(description="Ids of the sessions")]
    users: Annotated[list[UUID], Field(description="Ids of the deleted users")]


GET_NAMES = Operation("GET", "/internal/users", NamesOf, UserNamesList, repeatable=True)
LIST_BLOCKS = Operation(
    "POST", "/internal/blocks", BlocksAsked, BlocksRead, repeatable=True, timeout_seconds=5
)
LIST_CONTACT_RULES = Operation(
    "GET", "/internal/contact-rules", ContactRulesFrom, ContactRulesPage, repeatable=True
)
CONNECT_DEVICE = Operation(
    "POST",
    "/internal/devices/connect",
    DeviceConnect,
    ConnectedDevice,
    refusals=(TooManyDevices,),
)
LIST_OWNED_DEVICES = Operation(
    "POST", "/internal/devices/owned", DevicesAsked, DevicesOwned, repeatable=True
)
UPDATE_NODE = Operation(
    "POST",
    "/internal/nodes/{node_id}/updates",
    NodeUpdate,
    NodeLease,
    timeout_seconds=5,  # several fit into a lease
)
GET_PRESENCE = Operation(
    "POST", "/internal/presence", PresenceAsked, Presence, repeatable=True, timeout_seconds=5
)
LIST_REVOCATIONS = Operation(
    "GET", "/internal/revocations", RevocationsSince, RevocationList, repeatable=True
)


class AuthClient(StreamsClient):
    """Calls to auth. Each raises ServiceUnavailable."""

    service = "auth"

    async def names(self, user_ids: Collection[UserId]) -> list[UserNames]:
        """Return those of these users that exist, however many they are."""
        return [
            user
            for some in portions(user_ids, MAX_NAMES)
            for user in (await self.call(GET_NAMES, NamesOf(joined(some)))).users
        ]

    async def has_avatar(self, user_id: UserId, file_id: UUID) -> bool:
        """Whether a file is this user's avatar at present."""
        return any(user.avatar_file_id == file_id for user in await self.names([user_id]))

    async def owned_devices(self, devices: Collection[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
        """Return those of these pairs, of a user's id and a device's, in which it is theirs."""
        found: set[tuple[UUID, UUID]] = set()
        for some in portions(devices, MAX_ASKED):
            asked = DevicesAsked([DeviceOf(*each) for each in some])
            owned = await self.call(LIST_OWNED_DEVICES, asked)
            found |= {(each.user_id, each.device_id) for each in owned.devices}
        return found

    async def contact_rules(self, after: UUID | None) -> ContactRulesPage:
        """Return what users after this one have said about who may reach them."""
        return await self.call(LIST_CONTACT_RULES, ContactRulesFrom(after))

    async def blocks(self, user_id: UUID, other_ids: Sequence[UUID]) -> BlocksRead:
        """Return the blocks between a user and at most `MAX_ASKED` others, by who made them."""
        return await self.call(LIST_BLOCKS, BlocksAsked(user_id, list(other_ids)))
