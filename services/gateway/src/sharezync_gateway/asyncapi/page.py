"""Keeps the document as long as those of the services stay the same."""

import asyncio

import msgspec

from sharezync_gateway.asyncapi.compose import compose
from sharezync_gateway.openapi.catalogue import Catalogue


class AsyncApi:
    """Gives out the AsyncAPI document of what `catalogue` has."""

    def __init__(self, catalogue: Catalogue, *, version: str) -> None:
        self._catalogue = catalogue
        self._version = version
        self._made: tuple[int, bytes] | None = None

    async def document(self) -> bytes:
        """Return the document as JSON.

        What services declare that were never reached is missing in it; they are named in
        `info.x-unavailable`.
        """
        edition, documents = await self._catalogue.documents()
        if self._made is None or self._made[0] != edition:
            composed = await asyncio.to_thread(
                compose, documents, version=self._version, missing=self._catalogue.missing
            )
            self._made = (edition, msgspec.json.encode(composed))
        return self._made[1]
