"""Usernames of all languages, and none that looks like another; who was there before stays."""

import asyncio
import secrets
from collections import Counter
from uuid import UUID

import httpx
import pytest

from services.auth.tests.api.conftest import PASSWORD, Account, Auth, register
from sharezync_auth.usecases import importing, skeletons
from sharezync_auth.usecases.importing import ImportedUser, ImportOutcome
from sharezync_shared.ids import uuid7
from sharezync_shared.names.usernames import data_version, skeleton_of
from sharezync_shared.text import key_of


@pytest.fixture
def ending() -> str:
    """What the names of this test end in: digits that look like no letter."""
    return "".join(secrets.choice("2345679") for _ in range(9))


async def attempt(auth: Auth, username: str) -> httpx.Response:
    email = f"{secrets.token_hex(8)}@example.com"
    body = {"username": username, "email": email, "password": PASSWORD}
    return await auth.http.post("/v1/auth/register", json=body)


async def log_in(auth: Auth, username: str) -> int:
    form = {"grant_type": "password", "username": username, "password": PASSWORD}
    return (await auth.http.post("/token", data=form)).status_code


async def put_older(auth: Auth, *usernames: str) -> list[UUID]:
    """Put accounts into the table as the version before did: without skeletons, in this order."""
    somebody = await register(auth, "somebody")
    (other,) = await auth.rows(
        "SELECT password_hash FROM auth.users WHERE id = $1", UUID(somebody.id)
    )
    await somebody.http.aclose()
    ids = []
    for username in usernames:
        (row,) = await auth.rows(
            "INSERT INTO auth.users (id, username, username_key, email, email_key, password_hash, "
            "display_name, bio, created_at, updated_at) VALUES (gen_random_uuid(), $1, $2, "
            "$2 || '@older.example', $2 || '@older.example', $3, $1, '', now(), now()) "
            "RETURNING id",
            username,
            key_of(username),
            other["password_hash"],
        )
        ids.append(row["id"])
    return ids


async def fill(auth: Auth) -> None:
    while await skeletons.fill(auth.app.state.work):
        pass


async def kept_of(auth: Auth, user_id: UUID) -> tuple[str, int, bool]:
    (row,) = await auth.rows(
        "SELECT username_skeleton, skeleton_version, skeleton_shared FROM auth.users WHERE id = $1",
        user_id,
    )
    return tuple(row)


@pytest.mark.parametrize(
    "name",
    [
        *("प्रिया", "நிலாவன்", "สุดารัตน์", "សុខាភ", "မြန်မာ", "می\u200cخواهم"),
        *("李小明", "李明", "金", "Сергей"),
    ],
)
async def test_names_of_the_world_are_accepted_found_and_log_in(
    auth: Auth, ada: Account, name: str
) -> None:
    made = await attempt(auth, name)
    assert (made.status_code, made.json().get("username")) == (201, name)
    found = await ada.http.get("/v1/users", params={"q": f" {name[:3]}"})
    assert name in {user["username"] for user in found.json()["items"]}
    assert await log_in(auth, name) == 200


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("\u0430da", "one alphabet"),  # the first letter is Cyrillic
        ("ada३", "one alphabet"),
        ("a" + "\u0300\u0316" * 6 + "da", "marks"),
        ("ad\u200ba", "letters"),
        ("ad\u202ea", "letters"),
        ("ad\u3164a", "letters"),
    ],
)
async def test_names_that_deceive_are_refused_in_plain_words(
    auth: Auth, ada: Account, name: str, told: str
) -> None:
    refused = await attempt(auth, name)
    renamed = await ada.http.patch("/v1/users/me", json={"username": name})
    for answer in (refused, renamed):
        assert answer.status_code == 422, answer.text
        (problem,) = answer.json()["errors"]
        assert problem["field"] == "body.username"
        assert told in problem["message"]


async def test_a_lookalike_is_refused_as_a_taken_name_is(auth: Auth, ending: str) -> None:
    assert (await attempt(auth, f"coco{ending}")).status_code == 201
    taken = await attempt(auth, f"COCO{ending}")
    for lookalike in (f"сосо{ending}", f"c0co{ending}", f"COC0{ending}"):
        refused = await attempt(auth, lookalike)
        assert refused.status_code == 409
        assert refused.json()["code"] == "username-taken"
        told = ("code", "title", "detail", "status")
        assert [refused.json().get(k) for k in told] == [taken.json().get(k) for k in told]


async def test_of_lookalikes_at_once_one_is_registered(auth: Auth, ending: str) -> None:
    names = [f"coco{ending}", f"сосо{ending}", f"c0c0{ending}", f"cOco{ending}"]
    answers = await asyncio.gather(*(attempt(auth, name) for name in names))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 3}


async def test_nobody_renames_themselves_to_a_lookalike_but_to_other_spellings_of_their_own(
    auth: Auth, ada: Account, ending: str
) -> None:
    await attempt(auth, f"bill{ending}")
    taken = await ada.http.patch("/v1/users/me", json={"username": f"BiII{ending}"})
    assert (taken.status_code, taken.json()["code"]) == (409, "username-taken")
    for mine in (f"will{ending}", f"Will{ending}", f"wiII{ending}", f"will{ending}"):
        renamed = await ada.http.patch("/v1/users/me", json={"username": mine})
        assert renamed.json()["username"] == mine
    # And what one gave up, others may have.
    await ada.http.patch("/v1/users/me", json={"username": f"else{ending}"})
    assert (await attempt(auth, f"wiIl{ending}")).status_code == 201


async def test_lookalikes_who_were_there_before_stay_and_no_third_comes(
    auth: Auth, ada: Account, ending: str
) -> None:
    first, second = f"coco{ending}", f"сосо{ending}"
    ids = await put_older(auth, first, second)
    await fill(auth)
    kept = [await kept_of(auth, user_id) for user_id in ids]
    assert {skeleton for skeleton, _, _ in kept} == {skeleton_of(first)}
    assert {version for _, version, _ in kept} == {data_version()}
    assert sorted(shared for _, _, shared in kept) == [False, True]
    assert [await log_in(auth, name) for name in (first, second)] == [200, 200]
    assert (await attempt(auth, f"c0co{ending}")).status_code == 409

    # Also when only the one is left that is in no unique index.
    (alone,) = [user_id for user_id, (_, _, shared) in zip(ids, kept, strict=True) if not shared]
    await auth.rows("DELETE FROM auth.users WHERE id = $1", alone)
    assert (await attempt(auth, f"c0co{ending}")).status_code == 409
    taken = await ada.http.patch("/v1/users/me", json={"username": f"c0co{ending}"})
    assert taken.status_code == 409


async def test_who_looked_like_somebody_before_comes_no_closer(auth: Auth, ending: str) -> None:
    eve = await register(auth, "eve")
    first = await register(auth, "first")
    await auth.rows(
        "UPDATE auth.users SET username = $2, username_key = $3, username_skeleton = NULL, "
        "skeleton_version = 0 WHERE id = $1",
        UUID(first.id),
        f"coco{ending}",
        f"coco{ending}",
    )
    await auth.rows(
        "UPDATE auth.users SET username = $2, username_key = $2, username_skeleton = $3, "
        "skeleton_version = $4, skeleton_shared = true WHERE id = $1",
        UUID(eve.id),
        f"c0c0{ending}",
        skeleton_of(f"c0c0{ending}"),
        data_version(),
    )
    await fill(auth)
    closer = await eve.http.patch("/v1/users/me", json={"username": f"сосо{ending}"})
    assert (closer.status_code, closer.json().get("code")) == (409, "username-taken")
    respelt = await eve.http.patch("/v1/users/me", json={"username": f"C0c0{ending}"})
    assert respelt.status_code == 200
    await first.delete()
    alone = await eve.http.patch("/v1/users/me", json={"username": f"сосо{ending}"})
    assert alone.status_code == 200
    assert (await kept_of(auth, UUID(eve.id)))[2] is False
    await eve.http.aclose()
    await first.http.aclose()


async def test_accounts_without_a_skeleton_get_one_and_newer_data_makes_it_anew(
    auth: Auth, ending: str
) -> None:
    names = [f"user{n}x{ending}" for n in (2, 3, 4)]
    ids = await put_older(auth, *names)
    await fill(auth)
    await auth.rows(
        "UPDATE auth.users SET username_skeleton = $2 || id, skeleton_version = 1 "
        "WHERE id = ANY($1)",
        ids,
        ending,
    )
    await asyncio.gather(fill(auth), fill(auth))
    for user_id, name in zip(ids, names, strict=True):
        assert await kept_of(auth, user_id) == (skeleton_of(name), data_version(), False)


async def test_who_has_a_name_of_older_rules_keeps_it(auth: Auth, ending: str) -> None:
    person = await register(auth, "older")
    older = f"\u0430da{ending}"
    await auth.rows(
        "UPDATE auth.users SET username = $2, username_key = $3, username_skeleton = NULL, "
        "skeleton_version = 0 WHERE id = $1",
        UUID(person.id),
        older,
        key_of(older),
    )
    await fill(auth)
    assert await log_in(auth, older) == 200
    changed = await person.http.patch("/v1/users/me", json={"username": older, "bio": "still me"})
    assert (changed.status_code, changed.json()["bio"]) == (200, "still me")
    new = await person.http.patch("/v1/users/me", json={"username": f"\u0430db{ending}"})
    assert new.status_code == 422
    await person.http.aclose()


async def test_spaces_around_a_name_and_spellings_of_a_domain_log_in(
    auth: Auth, ending: str
) -> None:
    body = {"username": f"ann{ending}", "email": f"ann{ending}@xn--bcher-kva.example"}
    made = await auth.http.post("/v1/auth/register", json={**body, "password": PASSWORD})
    assert made.status_code == 201
    for identifier in (
        f"ann{ending} ",
        f" ANN{ending}\n",
        f"\u3000ＡＮＮ{ending}\u200f",
        f"ann{ending}＠xn--bcher-kva．example\u3000",
        f"ann{ending}@xn--bcher-kva.example",
        f"ann{ending}@bücher.example",
        f"Ann{ending}@BÜCHER.EXAMPLE ",
        f"ann{ending}@XN--BCHER-KVA.example",
    ):
        assert await log_in(auth, identifier) == 200, identifier
    again = {"username": f"ann{ending}x", "email": f"ann{ending}@bücher.example"}
    taken = await auth.http.post("/v1/auth/register", json={**again, "password": PASSWORD})
    assert taken.json()["code"] == "email-taken"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Bob\n12:00 Ada (admin)", "Bob 12:00 Ada (admin)"),
        ("\u202eadA", "adA"),
        ("A\u200bda\u3164", "Ada"),
        ("👨\u200d👩\u200d👧 می\u200cخواهم", "👨\u200d👩\u200d👧 می\u200cخواهم"),
    ],
)
async def test_names_of_people_and_devices_are_one_line_that_is_seen(
    ada: Account, name: str, shown: str
) -> None:
    mine = await ada.http.patch("/v1/users/me", json={"display_name": name})
    device = {"client_id": "laptop", "name": name, "platform": name}
    made = await ada.http.post("/v1/devices", json=device)
    assert mine.json()["display_name"] == shown
    assert (made.json()["name"], made.json()["platform"]) == (shown, shown)
    for path, field in (
        ("/v1/users/me", "display_name"),
        (f"/v1/devices/{made.json()['id']}", "name"),
    ):
        for blank in ("\u200b", "\u3164", "\u2800 ", "\u202e"):
            refused = await ada.http.patch(path, json={field: blank})
            assert refused.status_code == 422
            assert "visible" in refused.json()["errors"][0]["message"]


@pytest.mark.parametrize("dry_run", [True, False])
async def test_an_import_brings_no_lookalikes_of_who_is_there(
    auth: Auth, ending: str, *, dry_run: bool
) -> None:
    older = [f"bob{ending}", f"b0b{ending}"]  # one of them in no unique index
    await put_older(auth, *older)
    await fill(auth)
    assert (await attempt(auth, f"coco{ending}")).status_code == 201
    names = [f"сосо{ending}", f"BoB{ending}", f"B0b{ending}x", f"bo6{ending}", f"Воb{ending}"]
    batch = [ImportedUser(name, f"{key_of(name)}@x.y", "-") for name in names]
    work = auth.app.state.work
    for _ in range(2):  # it may be run again
        outcomes = await importing.add(work, batch, dry_run=dry_run)
        assert outcomes[0] is outcomes[4] is ImportOutcome.LOOKALIKE
        assert outcomes[1] is ImportOutcome.USERNAME_TAKEN
    await auth.rows("DELETE FROM auth.users WHERE email LIKE '%@x.y'")


def test_who_comes_first_has_the_skeleton() -> None:
    one, two, three, four = (uuid7() for _ in range(4))
    made = [(one, "a"), (two, "b"), (three, "a"), (four, "c")]
    assert skeletons.those_later(made, {"c"}) == {three, four}
