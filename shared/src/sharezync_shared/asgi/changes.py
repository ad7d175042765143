"""How routes answer a change: with the outcome, and the position of its event."""

from typing import Final, TypeVar

from fastapi import Response

from sharezync_shared.streams.log import StreamPosition
from sharezync_shared.streams.published import Published

Outcome = TypeVar("Outcome")

POSITION_HEADER: Final = "Stream-Position"
"""On the answer to a change: `<stream> <epoch> <seq>` of its event."""


def answer(response: Response, published: Published[Outcome], *, location: str = "") -> Outcome:
    """Return the outcome, having said where its event stands, and 200 where nothing was made.

    `location` is that of a thing which the route may have made.
    """
    response.headers.update(position_headers(published.at))
    if location:
        response.headers["Location"] = location
        response.status_code = 201 if published.created else 200
    return published.outcome


def no_content(published: Published[None]) -> Response:
    """Return an empty answer that says where the event stands."""
    return Response(status_code=204, headers=position_headers(published.at))


def position_headers(at: StreamPosition | None) -> dict[str, str]:
    """Return the header field with an event's position; none where nothing was published."""
    return {} if at is None else {POSITION_HEADER: f"{at.stream} {at.epoch} {at.seq}"}
