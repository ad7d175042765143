"""The directory: by prefix, in pages, through the index, and never with an address."""

import secrets
from typing import Any

import pytest

from services.auth.tests.api.conftest import Account, Auth, register
from sharezync_auth.usecases import users
from sharezync_shared.text import key_of

NAMES = (
    "Zoë",
    "zoë.2",
    "ＺＯＥ",
    "zo_e",
    "zoxe",
    "Zo-e",
    "zo.e",
    "straße",
    "STRASSE.2",
    "名前さん",
)


@pytest.fixture
async def tag(auth: Auth) -> str:
    """Begin the names of this test with something of its own; return it."""
    tag = f"t{secrets.token_hex(3)}"
    await make_users(auth, [tag + name for name in NAMES])
    return tag


async def make_users(auth: Auth, names: list[str]) -> None:
    """Make users without the cost of their passwords."""
    await auth.rows(
        "INSERT INTO auth.users (id, username, username_key, email, email_key, password_hash, "
        "display_name, bio, created_at, updated_at) SELECT gen_random_uuid(), name, key, "
        "'x' || key || '@hidden.example', 'x' || key || '@hidden.example', '-', name, '', "
        "now(), now() FROM unnest($1::text[], $2::text[]) AS n(name, key)",
        names,
        [key_of(name) for name in names],
    )


async def found(account: Account, q: str, limit: int = 100) -> list[str]:
    """Walk all pages; return the names."""
    names: list[str] = []
    params: dict[str, str] = {"q": q, "limit": str(limit)}
    while True:
        answer = await account.http.get("/v1/users", params=params)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["items"]) <= limit
        names += [user["username"] for user in page["items"]]
        if page["next"] is None:
            return names
        assert len(page["items"]) == limit
        params["after"] = page["next"]


@pytest.mark.parametrize(
    ("prefix", "matching"),
    [
        ("zo", {"Zoë", "zoë.2", "ＺＯＥ", "zo_e", "zoxe", "Zo-e", "zo.e"}),
        ("ZOË", {"Zoë", "zoë.2"}),
        ("zoe\u0308", {"Zoë", "zoë.2"}),  # decomposed
        ("ｚｏｅ", {"ＺＯＥ"}),  # full-width
        ("strasse", {"straße", "STRASSE.2"}),
        ("STRAß", {"straße", "STRASSE.2"}),
        ("名", {"名前さん"}),
        ("zo_", {"zo_e"}),
        ("zo%", set()),
        ("zo\\", set()),
        ("/", set()),
        ("%", set()),
        ("oe", set()),
    ],
)
async def test_a_prefix_finds_names_in_any_spelling_and_is_no_pattern(
    ada: Account, tag: str, prefix: str, matching: set[str]
) -> None:
    assert set(await found(ada, tag + prefix)) == {tag + name for name in matching}


@pytest.mark.parametrize("limit", [1, 2, 3, 9, 10, 11])
async def test_pages_meet_exactly(ada: Account, tag: str, limit: int) -> None:
    assert await found(ada, tag, limit) == sorted((tag + name for name in NAMES), key=key_of)


async def test_who_comes_meanwhile_moves_nobody(auth: Auth, ada: Account, tag: str) -> None:
    before = sorted((tag + name for name in NAMES), key=key_of)
    params = {"q": tag, "limit": "3"}
    first = (await ada.http.get("/v1/users", params=params)).json()
    # One at the very place where the page ends, before and after it.
    await make_users(auth, [f"{tag}0-first", f"{before[2]}-", f"{before[2]}.x"])
    await auth.rows("DELETE FROM auth.users WHERE username = $1", before[2])
    rest = (
        await ada.http.get("/v1/users", params={**params, "limit": "100", "after": first["next"]})
    ).json()
    names = [user["username"] for user in first["items"] + rest["items"]]
    assert names == [*before[:3], f"{before[2]}-", f"{before[2]}.x", *before[3:]]


async def test_without_a_prefix_everybody_is_listed_by_name(ada: Account, tag: str) -> None:
    names = await found(ada, "")
    assert [key_of(name) for name in names] == sorted(key_of(name) for name in names)
    assert {tag + name for name in NAMES} <= set(names)


async def test_a_cursor_is_one_of_ours(ada: Account) -> None:
    for cursor in ("%%%", "é", "/w", "AA", "x" * 401):
        refused = await ada.http.get("/v1/users", params={"after": cursor})
        assert refused.status_code == 422, cursor


async def test_the_directory_walks_along_the_index(auth: Auth, tag: str) -> None:
    """Also in a plan that is made once for all prefixes, which knows none."""
    await make_users(auth, [f"{tag}{number:05}" for number in range(5000)])
    await auth.rows("ANALYZE auth.users")
    statement = users.page_of_directory(f"{tag}0", after=f"{tag}00100", limit=20)
    for mode in ("force_custom_plan", "force_generic_plan"):
        async with auth.app.state.core.database.engine.begin() as connection:
            compiled = statement.compile(dialect=connection.dialect)
            values = [compiled.params[name] for name in compiled.positiontup or []]
            await connection.exec_driver_sql(f"SET LOCAL plan_cache_mode = {mode}")
            raw = (await connection.get_raw_connection()).driver_connection
            assert raw is not None
            plan = "\n".join(
                row[0] for row in await raw.fetch(f"EXPLAIN {compiled.string}", *values)
            )
        assert "Index Scan using uq_users_username_key" in plan, plan
        assert "Index Cond:" in plan, plan
        assert "Filter:" not in plan, plan
        assert "Sort" not in plan, plan


def walk(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """Return every leaf of a JSON document with where it stands."""
    if isinstance(value, dict):
        return [leaf for key, each in value.items() for leaf in walk(each, f"{path}.{key}")]
    if isinstance(value, list):
        return [leaf for each in value for leaf in walk(each, path)]
    return [(path, value)]


async def test_no_answer_to_others_holds_an_address(auth: Auth, ada: Account) -> None:
    bob = await register(auth, "bob")
    auth.peers.shared.add(("chat", bob.id, ada.id))
    await ada.http.post("/v1/devices", json={"client_id": "laptop", "name": "L", "platform": ""})
    answers = [
        await bob.http.get(f"/v1/users/{ada.id}"),
        await bob.http.get("/v1/users", params={"q": ada.username}),
        await bob.http.get(f"/v1/users/{ada.id}/devices"),
    ]
    for answer in answers:
        assert answer.status_code == 200
        leaves = walk(answer.json())
        assert leaves
        for path, value in leaves:
            assert "mail" not in path
            assert "@" not in str(value)
    # The same walk finds it where it may be.
    own = walk((await ada.http.get("/v1/users/me")).json())
    assert (".email", f"{ada.username}@example.com") in own
    schemas = auth.app.openapi()["components"]["schemas"]
    holders = {name for name, schema in schemas.items() if "email" in schema.get("properties", {})}
    assert holders == {"OwnUser", "Registration", "ProfileUpdate"}
