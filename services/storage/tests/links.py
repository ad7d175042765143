"""Links by which strangers download a file, as their tests use them."""

from typing import Any, Final

import httpx
from sqlmodel import col, update

from services.storage.tests.support import Json, Person, World
from sharezync_storage.models import Link

DATA: Final = bytes(range(256)) * 2000


async def try_link(person: Person, file: Json, **wanted: Any) -> httpx.Response:
    return await person.http.post(f"/v1/files/{file['id']}/links", json=wanted)


async def make_link(person: Person, file: Json, **wanted: Any) -> Json:
    answer = await try_link(person, file, **wanted)
    assert answer.status_code == 201, answer.text
    link: Json = answer.json()
    assert answer.headers["location"] == f"/v1/files/{file['id']}/links/{link['id']}"
    assert link["path"] == f"/v1/links/{link['token']}"
    return link


async def links_of(person: Person, file: Json) -> list[Json]:
    items: list[Json] = (await person.http.get(f"/v1/files/{file['id']}/links")).json()["items"]
    return items


async def download(
    client: httpx.AsyncClient, link: Json, *, password: str | None = None, **headers: str
) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = None if password is None else {"password": password}
    return await client.post(f"{link['path']}/content", json=body, headers=named)


async def change(world: World, link: Json, **values: object) -> None:
    async with world.app.state.work.begin() as unit:
        mine = col(Link.id) == link["id"]
        await unit.session.exec(update(Link).where(mine).values(**values))


async def left(alice: Person, file: Json) -> int | None:
    (link,) = await links_of(alice, file)
    count: int | None = link["downloads_left"]
    return count
