"""One upload and several clients who know nothing of each other, each act a rule."""

import asyncio
import base64
import hashlib
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from services.storage.tests.lines import Line, Sender, broken, whole
from services.storage.tests.support import Person, World
from sharezync_storage.errors import (
    BodyBroken,
    ChecksumMismatch,
    OffsetMismatch,
    UploadBusy,
    UploadGone,
    UploadLengthConflict,
)
from sharezync_storage.models import Upload
from sharezync_storage.usecases.checksums import Checksum
from sharezync_storage.usecases.writers import Writer

Result = TypeVar("Result")

DATA: Final = random.Random(5).randbytes(4000)
sizes: Final = st.one_of(st.integers(1, 400), st.integers(400, 4000), st.sampled_from([0, 4000]))


@dataclass
class Request:
    """A request whose body is still coming."""

    line: Line
    task: "asyncio.Task[Upload]"
    start: int
    sent: int = 0
    stalled: bool = False


@dataclass
class Model:
    """What must be true."""

    size: int
    told: bool
    offset: int = 0
    gone: bool = False
    open: Request | None = field(default=None)

    @property
    def complete(self) -> bool:
        return self.told and self.offset == self.size


def under_way(machine: "Uploading") -> bool:
    return not (machine.model.gone or machine.model.complete)


def one_is_open(machine: "Uploading") -> bool:
    return machine.model.open is not None


def nobody_writes(machine: "Uploading") -> bool:
    return under_way(machine) and machine.model.open is None


class Uploading(RuleBasedStateMachine):
    """Whether a writer has stalled is for the rules to say, and not for the clock."""

    def __init__(self, world: World, owner: Person, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.world = world
        self.owner = owner
        self.loop = loop

    def do(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run it on the service's loop; rules are called in another thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    @initialize(size=sizes, told=st.booleans())
    def begin(self, size: int, told: bool) -> None:
        self.model = Model(size, told)
        self.sender = self.do(Sender.begin(self.world, self.owner, size if told else None))

    # --- one who takes their time ------------------------------------------------------------

    @precondition(under_way)
    @rule(wrong=st.sampled_from([0, 0, 0, 0, 1, -1]))
    def open(self, wrong: int) -> None:
        """Begin to send, whoever else does."""
        self.do(self._open(wrong))

    async def _open(self, wrong: int) -> None:
        model, earlier = self.model, self.model.open
        if earlier is not None and not earlier.stalled:
            await self.refused(self.sender.append(model.offset, b"x"), UploadBusy)
            return
        start = max(0, (earlier.start + earlier.sent if earlier else model.offset) + wrong)
        line = Line()
        task = self.sender.start(start, line)
        asked = asyncio.create_task(line.asked.wait())
        await asyncio.wait([task, asked], return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if earlier is not None:
            await self.preempted(earlier)
        if model.complete:
            line.end()
            await asyncio.wait([task])
        elif start != model.offset:
            await self.refused(task, OffsetMismatch)
        else:
            assert not task.done()
            model.open = Request(line, task, start)

    @precondition(one_is_open)
    @rule(count=st.integers(1, 700))
    def send(self, count: int) -> None:
        """Send some bytes more; perhaps more than there are to be."""
        self.do(self._send(count))

    async def _send(self, count: int) -> None:
        request, model = self.open_one, self.model
        position = request.start + request.sent
        piece = (DATA + bytes(1000))[position : position + count]
        request.line.send(piece)
        self.mark(request, stalled=False)
        if model.told and position + count > model.size:
            await self.refused(request.task, UploadLengthConflict)
            self.over(request)
            return
        request.sent += count
        await request.line.arrived()

    @precondition(one_is_open)
    @rule()
    def stall(self) -> None:
        self.mark(self.open_one, stalled=True)

    @precondition(one_is_open)
    @rule(breaks=st.booleans())
    def close(self, breaks: bool) -> None:
        """End the body as it should be, or break it off."""
        self.do(self._close(breaks))

    async def _close(self, breaks: bool) -> None:
        request = self.open_one
        if breaks:
            request.line.hang_up()
            await self.refused(request.task, BodyBroken)
        else:
            request.line.end()
            await asyncio.wait([request.task])
            assert request.task.result().stored_bytes == request.start + request.sent
        self.over(request)

    @precondition(one_is_open)
    @rule(then=st.sampled_from(["end", "break", "send"]))
    def fence(self, then: str) -> None:
        """Another process takes over, because ours was away for long; then it comes back."""
        self.do(self._fence(then))

    async def _fence(self, then: str) -> None:
        request = self.open_one
        async with self.world.app.state.work.begin() as unit:
            upload = await unit.get(Upload, self.sender.id, lock=True)
            upload.epoch += 1
            upload.leased_until = None
        if then == "send":
            request.line.send(b"too late")
        if then == "break":
            request.line.hang_up()
        else:
            request.line.end()
        await asyncio.wait([request.task])
        if then == "send" or upload.stored_bytes < request.start + request.sent:
            await self.refused(request.task, UploadBusy, UploadLengthConflict, BodyBroken)
        self.model.open, self.model.offset = None, upload.stored_bytes

    # --- those who send all at once -----------------------------------------------------------

    @precondition(nobody_writes)
    @rule(
        count=st.integers(0, 1500),
        breaks=st.booleans(),
        checksum=st.sampled_from([None, None, "right", "wrong"]),
    )
    def append(self, count: int, breaks: bool, checksum: str | None) -> None:
        self.do(self._append(count, breaks, checksum))

    async def _append(self, count: int, breaks: bool, checksum: str | None) -> None:
        model = self.model
        data = DATA[model.offset : min(model.offset + count, model.size)]
        summed = data if checksum == "right" else data + b"?"
        digest = base64.b64encode(hashlib.sha256(summed).digest()).decode()
        body = (broken if breaks else whole)(data[:100], data[100:])
        sent = self.sender.append(
            model.offset,
            body,
            checksum=Checksum.from_header(f"sha256 {digest}") if checksum else None,
        )
        if breaks:
            await self.refused(sent, BodyBroken)
        elif checksum == "wrong":
            await self.refused(sent, ChecksumMismatch)
        else:
            await sent
        if checksum is None or not (breaks or checksum == "wrong"):
            model.offset += len(data)

    @precondition(nobody_writes)
    @rule(less=st.integers(0, 3))
    def tell_length(self, less: int) -> None:
        self.do(self._tell_length(less))

    async def _tell_length(self, less: int) -> None:
        model = self.model
        length = model.size - less if model.told else max(model.size, model.offset) - less
        sent = self.sender.append(model.offset, b"", length=length)
        if (model.told and length != model.size) or length < model.offset:
            await self.refused(sent, UploadLengthConflict)
            return
        await sent
        model.size, model.told = length, True

    # --- anybody ------------------------------------------------------------------------------

    @rule()
    def look(self) -> None:
        self.do(self._look())

    async def _look(self) -> None:
        model, request = self.model, self.model.open
        if model.gone:
            await self.refused(self.sender.look(), UploadGone)
            return
        upload = await self.sender.look()
        if request is not None and request.stalled:
            await self.preempted(request)
        if request is not None and not request.stalled:
            assert request.start <= upload.stored_bytes <= request.start + request.sent
        else:
            assert upload.stored_bytes == model.offset

    @precondition(under_way)
    @rule(really=st.sampled_from([False, False, False, True]))
    def terminate(self, really: bool) -> None:
        if really:
            self.do(self._terminate())

    async def _terminate(self) -> None:
        request = self.model.open
        reached = request.start + request.sent if request is not None else -1
        if self.model.told and reached == self.model.size:
            return  # it may have finished in this very moment
        await self.sender.terminate()
        if request is not None:
            await self.refused(request.task, UploadBusy, UploadGone)
        self.model.open, self.model.gone = None, True

    # ----------------------------------------------------------------------------------------

    @property
    def open_one(self) -> Request:
        assert self.model.open is not None
        return self.model.open

    def mark(self, request: Request, *, stalled: bool) -> None:
        request.stalled = stalled
        writer = self.sender.parts.writers._writers.get(self.sender.id)
        if writer is not None:
            writer.has_stalled = stalled  # type: ignore[attr-defined]  # see `stalls_when_told`

    async def refused(self, sent: Any, *kinds: type[Exception]) -> None:
        try:
            await sent
        except kinds:
            return
        raise AssertionError(f"nobody raised {kinds}")

    async def preempted(self, request: Request) -> None:
        """See that a request was ended by another, and what it brought is there."""
        await self.refused(request.task, UploadBusy)
        self.over(request)

    def over(self, request: Request) -> None:
        self.model.open = None
        self.model.offset = request.start + request.sent

    @invariant()
    def all_is_as_it_must_be(self) -> None:
        self.do(self._check())

    async def _check(self) -> None:
        model = self.model
        if model.complete and not model.gone and model.open is None:
            # Where the line broke behind the last byte, nobody has waited for that.
            await self.world.parts.assembler.finish(self.sender.id)
        async with self.world.app.state.work.read() as unit:
            upload = await unit.get(Upload, self.sender.id)
        if model.gone:
            assert upload.state == "aborted"
        elif model.complete and model.open is None:
            assert upload.state == "finished"
            assert await self.sender.content() == (DATA + bytes(1000))[: model.size]
        elif model.open is None:
            assert upload.state in ("created", "receiving")
            assert upload.stored_bytes == model.offset
            assert upload.reserved_bytes >= model.offset

    def teardown(self) -> None:
        """Leave nothing: the next story begins with the same owner."""
        if hasattr(self, "model"):
            self.do(self._leave())

    async def _leave(self) -> None:
        if self.model.open is not None:
            await self._close(breaks=True)
        if not self.model.gone:
            await self.sender.terminate()
        assert await self.owner.usage() == (0, 0)


def stalls_when_told(writer: Writer) -> bool:
    """Stand in for `Writer.stalled`."""
    return bool(getattr(writer, "has_stalled", False))
