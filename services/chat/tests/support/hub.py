"""Gateways, as far as streams go: who hears what, live and after having been away.

A frame goes to who is on its stream, by the frames' control alone, and waits in each device until
the test delivers it.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx
import msgspec

from services.chat.tests.support.replica import Replica
from services.chat.tests.support.world import Json, Person, World
from sharezync_shared.streams.frames import Control, Frame
from sharezync_testkit.waiting import GIVE_UP_SECONDS


@dataclass
class Device:
    """A client, the streams that a gateway has it on, and what is on its way to it."""

    owner: Person
    replica: Replica
    on: set[str]
    waiting: dict[str, deque[bytes]] = field(default_factory=dict)
    delivered: list[bytes] = field(default_factory=list)

    @property
    def inbox(self) -> str:
        return f"inbox:{self.owner.id}"

    def push(self, stream: str, *texts: bytes) -> None:
        self.waiting.setdefault(stream, deque()).extend(texts)

    def deliver(self, pick: int = 0) -> bool:
        """Deliver the next event of one of the streams; False where none waits."""
        streams = sorted(stream for stream, texts in self.waiting.items() if texts)
        if not streams:
            return False
        text = self.waiting[streams[pick % len(streams)]].popleft()
        self.delivered.append(text)
        self.replica.apply(msgspec.json.decode(text))
        return True

    def repeat(self, count: int) -> None:
        """Deliver the latest events once more, in their order."""
        for text in self.delivered[len(self.delivered) - count :] if count else []:
            self.replica.apply(msgspec.json.decode(text))

    def hear_everything(self) -> None:
        while self.deliver():
            pass


class Heard(NamedTuple):
    """A live frame that went to a device of this user."""

    user_id: str
    stream: str
    seq: int


class Hub:
    """All gateways in one: knows every device, and each frame that the service sent live."""

    def __init__(self, world: World, gateway: httpx.AsyncClient) -> None:
        self.devices: list[Device] = []
        self.heard: list[Heard] = []
        self.reached: dict[str, int] = {}
        self._world = world
        self._gateway = gateway
        self._taken = len(world.sent)

    async def connect(self, owner: Person) -> Device:
        """Bring a new device up: heads, then a snapshot, then events."""
        await self.settle()
        replica = await Replica.load(owner)
        device = Device(owner, replica, set(replica.heads))
        self.devices.append(device)
        return device

    async def reload(self, device: Device) -> None:
        """Have a device forget everything and load it anew."""
        device.waiting.clear()
        device.replica = await Replica.load(device.owner)
        device.on = set(device.replica.heads)

    async def resume(self, device: Device) -> None:
        """Have a device lose all that was on its way, and come back with its cursors."""
        device.waiting.clear()
        asked = {"user_id": device.owner.id}
        heads = (await self._gateway.get("/internal/streams/heads", params=asked)).json()["streams"]
        device.on = set(heads)
        cursors = device.replica.cursors
        device.replica.forget(name.partition(":")[2] for name in cursors.keys() - device.on)
        await self._replay(device, device.inbox, cursors[device.inbox])
        # Channels that were joined meanwhile: the inbox tells what their memberships are of.
        for text in device.waiting[device.inbox]:
            event = msgspec.json.decode(text)
            if event["type"] == "member.joined":
                stream, _, seq = event["data"]["position"]
                cursors.setdefault(stream, seq)
        for stream in sorted(device.on - {device.inbox}):
            await self._replay(device, stream, cursors[stream])

    async def _replay(self, device: Device, stream: str, after: int) -> None:
        query: dict[str, str | int] = {"stream": stream, "after": after}
        replay: Json = (await self._gateway.get("/internal/streams/replay", params=query)).json()
        assert not replay["reset"]
        assert replay["seqs"] == list(range(after + 1, replay["head"] + 1)), "a gap in the log"
        device.push(stream, *(text.encode() for text in replay["frames"]))

    async def settle(self) -> None:
        """Take everything that the service has committed, as gateways hear it live."""
        assert await self._world.core.relay.flush(GIVE_UP_SECONDS)
        frames, self._taken = self._world.sent[self._taken :], len(self._world.sent)
        for frame in frames:
            before = self.reached.get(frame.stream, frame.seq - 1)
            assert frame.seq == before + 1, f"{frame.stream} goes from {before} to {frame.seq}"
            self.reached[frame.stream] = frame.seq
            for device in self.devices:
                self._pass(frame, frame.control or Control(), device)

    def _pass(self, frame: Frame, control: Control, device: Device) -> None:
        if device.owner.id in control.join:
            device.on.add(frame.stream)
        if frame.stream in device.on:
            device.push(frame.stream, frame.text)
            self.heard.append(Heard(device.owner.id, frame.stream, frame.seq))
        if control.end or device.owner.id in control.leave:
            device.on.discard(frame.stream)
