"""Running an application's lifespan from outside, where no server does it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp, Message


class LifespanFailed(Exception):
    """The application could not start or stop; it logged why."""


@asynccontextmanager
async def running(app: ASGIApp) -> AsyncGenerator[None]:
    """Start `app`, and stop it when the block ends. Raises LifespanFailed.

    The lifespan runs in one task from beginning to end, as under a server, so that the context
    managers in it are left where they were entered. Source: ASGI specification, lifespan.
    """
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    task = asyncio.ensure_future(app(scope, to_app.get, from_app.put))

    async def step(name: str) -> None:
        await to_app.put({"type": f"lifespan.{name}"})
        answer = asyncio.ensure_future(from_app.get())
        await asyncio.wait({answer, task}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done() and from_app.empty():
            answer.cancel()
            failure = task.exception()
            raise LifespanFailed(f"{name}: the application ended") from failure
        message = await answer
        if message["type"] != f"lifespan.{name}.complete":
            raise LifespanFailed(f"{name}: {message.get('message', message['type'])}")

    try:
        await step("startup")
        yield
        await step("shutdown")
    finally:
        if not task.done():
            await asyncio.wait({task}, timeout=1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
