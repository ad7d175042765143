"""Users, for Zync's clients."""

from sharezync_gateway.zync.documents import Document, display_name_of, names_of, user_of
from sharezync_gateway.zync.requests import ZyncRequest, span_of
from sharezync_shared.problems import Forbidden, Invalid

Outcome = tuple[int, object]
"""The status of an answer, and its document; None for none."""

_ME = "/v1/users/me"


async def create(request: ZyncRequest) -> Outcome:
    """Register an account."""
    body = await request.body()
    names = display_name_of(_name(body, "first_name"), _name(body, "last_name"))
    account: Document = {
        name: body[name] for name in ("username", "email", "password") if name in body
    }
    if names is not None:
        account["display_name"] = names
    answer = await request.call("POST", "/v1/auth/register", body=account)
    return 201, user_of(answer.json())


async def get(request: ZyncRequest) -> Outcome:
    """Get a user; `me` is who asks."""
    return 200, user_of(await _user(request))


async def page(request: ZyncRequest) -> Outcome:
    """List users, by name."""
    found = await span_of(request.pages("/v1/users", mark="after"), request.span())
    return 200, [user_of(user) for user in found]


async def update(request: ZyncRequest) -> Outcome:
    """Change one's own profile: `username`, `email`, names; `password` takes the current one."""
    user = await _oneself(request)
    body = await request.body()
    current = {n: body[n] for n in ("current_password",) if n in body}
    changes: Document = {name: body[name] for name in ("username", "email") if name in body}
    if {"first_name", "last_name"} & body.keys():
        first, last = names_of(user)
        names = display_name_of(_name(body, "first_name", first), _name(body, "last_name", last))
        changes["display_name"] = names or changes.get("username", user["username"])
    if "password" in body:
        change = {**current, "new_password": body["password"]}
        await request.call("POST", "/v1/auth/password", body=change)
    if changes:
        user = (await request.call("PATCH", _ME, body={**changes, **current})).json()
    return 200, user_of(user)


async def delete(request: ZyncRequest) -> Outcome:
    """Delete one's own account; takes the password, in the body."""
    await _oneself(request)
    body = await request.body()
    password = {name: body[name] for name in ("password",) if name in body}
    await request.call("DELETE", _ME, body=password)
    return 204, None


def _name(body: Document, key: str, default: str | None = None) -> str | None:
    name = body.get(key, default)
    if name is not None and not isinstance(name, str):
        raise Invalid(errors=[{"field": f"body.{key}", "message": "Must be a string"}])
    return name


async def _user(request: ZyncRequest) -> Document:
    user: Document = (await request.call("GET", f"/v1/users/{request.part(2)}")).json()
    return user


async def _oneself(request: ZyncRequest) -> Document:
    """Return one's own profile. Raises Forbidden where the path names somebody else."""
    user: Document = (await request.call("GET", _ME)).json()
    if request.part(2) not in {user["id"], "me"}:
        await _user(request)  # who isn't there isn't found
        raise Forbidden("You can only change your own account")
    return user
