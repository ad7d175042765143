"""Ranges of files, and conditions on which they are wanted."""

import httpx
import pytest

from services.gateway.tests.api.transfers.house import CHUNK, House, content_of
from services.gateway.tests.api.transfers.test_content import stored
from services.gateway.tests.api.transfers.test_putting import code
from sharezync_gateway.openapi.own import own_document


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        (f"bytes=10-{CHUNK + 9}", 10, CHUNK + 9),
        (f"bytes={2 * CHUNK}-", 2 * CHUNK, 3 * CHUNK + 9),
        ("bytes=-20", 3 * CHUNK - 10, 3 * CHUNK + 9),
        (f"bytes=5-{10 * CHUNK}", 5, 3 * CHUNK + 9),
    ],
)
async def test_one_range_is_answered_by_those_bytes(
    house: House, recipient: httpx.AsyncClient, asked: str, first: int, last: int
) -> None:
    offer = house.offer(3 * CHUNK + 10)
    await stored(house, offer)
    answer = await recipient.get(offer.content_path, headers={"range": asked})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{offer.size}"
    assert answer.content == content_of(offer.size)[first : last + 1]


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=9-3", "bytes=x"])
async def test_other_ranges_can_not_be_had(
    house: House, recipient: httpx.AsyncClient, asked: str
) -> None:
    offer = house.offer(CHUNK)
    answer = await recipient.get(offer.content_path, headers={"range": asked})
    assert code(answer) == (416, "range-unsatisfiable")
    assert answer.headers["content-range"] == f"bytes */{CHUNK}"


async def test_several_ranges_are_answered_with_the_whole(
    house: House, recipient: httpx.AsyncClient
) -> None:
    offer = house.offer(CHUNK)
    await stored(house, offer)
    answer = await recipient.get(offer.content_path, headers={"range": "bytes=0-1,5-6"})
    assert (answer.status_code, answer.content) == (200, content_of(CHUNK))


async def test_a_range_needs_only_its_own_chunks(
    house: House, recipient: httpx.AsyncClient
) -> None:
    offer = house.offer(3 * CHUNK)
    await house.store_chunk(offer, 1)
    headers = {"range": f"bytes={CHUNK}-{2 * CHUNK - 1}"}
    answer = await recipient.get(offer.content_path, headers=headers)
    assert answer.content == offer.chunk(1)


async def test_conditions_go_by_the_root(house: House, recipient: httpx.AsyncClient) -> None:
    offer = house.offer(CHUNK, root="ab" * 32)
    await stored(house, offer)
    etag = f'"{offer.root}"'
    path = offer.content_path
    answer = await recipient.get(path, headers={"if-none-match": etag})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert answer.headers["cache-control"] == "private, no-cache"
    assert (await recipient.get(path, headers={"if-none-match": '"x"'})).status_code == 200
    ranged = {"range": "bytes=0-9"}
    assert (await recipient.get(path, headers={**ranged, "if-range": etag})).status_code == 206
    assert (await recipient.get(path, headers={**ranged, "if-range": '"x"'})).status_code == 200


async def test_who_wants_another_content_gets_none(
    house: House, recipient: httpx.AsyncClient
) -> None:
    offer = house.offer(CHUNK, root="ab" * 32)
    await stored(house, offer)
    etag = f'"{offer.root}"'
    for wanted, status in [
        (etag, 200), (f'"x", {etag}', 200), ("*", 200), ('"x"', 412), (f"W/{etag}", 412),
    ]:  # fmt: skip
        for method in ("GET", "HEAD"):
            answer = await recipient.request(
                method, offer.content_path, headers={"if-match": wanted}
            )
            assert answer.status_code == status, (method, wanted)
    headers = {"if-match": '"x"', "if-none-match": etag, "range": "bytes=99999999-"}
    answer = await recipient.get(offer.content_path, headers=headers)
    assert code(answer) == (412, "precondition-failed")


def test_the_document_tells_of_conditions_that_do_not_hold() -> None:
    paths = own_document()["paths"]
    operations = paths["/v1/transfers/{transfer_id}/files/{file}/content"]
    for method in ("get", "head"):
        refusal = operations[method]["responses"]["412"]["content"]["application/problem+json"]
        assert set(refusal["examples"]) == {"precondition-failed"}


async def test_no_named_content_is_one_that_still_arrives(
    house: House, recipient: httpx.AsyncClient
) -> None:
    offer = house.offer(CHUNK)
    await house.store_chunk(offer, 0)
    path = offer.content_path
    answer = await recipient.get(path, headers={"if-match": f'"{"ab" * 32}"'})
    assert code(answer) == (412, "precondition-failed")
    assert (await recipient.get(path, headers={"if-match": "*"})).content == offer.chunk(0)
    ranged = {"range": "bytes=0-9", "if-range": f'"{"ab" * 32}"'}
    assert (await recipient.get(path, headers=ranged)).content == offer.chunk(0)


async def test_fields_in_several_lines_are_read_as_one(
    house: House, recipient: httpx.AsyncClient
) -> None:
    offer = house.offer(CHUNK, root="ab" * 32)
    await stored(house, offer)
    etag = f'"{offer.root}"'
    for name, status in [("if-none-match", 304), ("if-match", 200)]:
        lines = [(name, etag), (name, '"x"')]
        assert (await recipient.get(offer.content_path, headers=lines)).status_code == status
    twice = [("range", "bytes=0-0"), ("range", "bytes=5-6")]
    answer = await recipient.get(offer.content_path, headers=twice)
    assert code(answer) == (416, "range-unsatisfiable")
