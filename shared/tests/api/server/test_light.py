"""The light queue and event do what asyncio's do, as far as a socket needs it."""

import asyncio

from sharezync_shared.server.light import Gate, Mailbox


async def test_items_come_in_order_whether_waited_for_or_not() -> None:
    box: Mailbox[int] = Mailbox()
    assert box.empty()
    waiting = asyncio.create_task(box.get())
    await asyncio.sleep(0)
    for n in range(3):
        box.put_nowait(n)
    assert await waiting == 0
    assert box.qsize() == 2
    assert [await box.get(), await box.get()] == [1, 2]
    assert box.empty()


async def test_a_get_that_is_cancelled_takes_nothing() -> None:
    box: Mailbox[str] = Mailbox()
    for late in (False, True):
        waiting = asyncio.create_task(box.get())
        await asyncio.sleep(0)
        if late:  # the item is there, but the reader has not run yet
            box.put_nowait("x")
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()
    assert await box.get() == "x"


async def test_a_gate_lets_everybody_through_that_waits() -> None:
    gate = Gate()
    waiting = [asyncio.create_task(gate.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting[1:])
    gate.set()
    await asyncio.gather(*waiting[1:])
    assert gate.is_set()
    await gate.wait()
    gate.clear()
    assert not gate.is_set()
