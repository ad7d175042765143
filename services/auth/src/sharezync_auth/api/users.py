"""Accounts and the directory."""

import base64
import binascii
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, BaseModel, EmailStr, Field

from sharezync_auth.api.dependencies import GuardDep, PasswordsDep, PeersDep, WorkDep
from sharezync_auth.models import WhoMayAdd
from sharezync_auth.names import clean_username
from sharezync_auth.passwords import MAX_BYTES, MIN_CHARACTERS
from sharezync_auth.usecases import users
from sharezync_auth.usecases.avatars import AvatarNotYours
from sharezync_auth.usecases.confirming import WrongPassword
from sharezync_auth.usecases.throttling import TooManyTries
from sharezync_auth.wire import OwnUser, PublicUser
from sharezync_shared.db.costly import Costly
from sharezync_shared.ids import UserId
from sharezync_shared.names.policies import BIO, DISPLAY_NAME, Policy, verbatim
from sharezync_shared.problems import (
    Invalid,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
    problems,
)
from sharezync_shared.text import storable
from sharezync_shared.tokens.dependencies import Caller

router = APIRouter(tags=["accounts"])


def _not_too_long(password: str) -> str:
    if len(password.encode()) > MAX_BYTES:
        raise ValueError(f"at most {MAX_BYTES} bytes")
    return password


Username = Annotated[
    str,
    Policy("username", None, cleaned=clean_username),
    Field(
        examples=["ada"],
        description="3 to 32 letters of one alphabet with their marks, digits, `_`, `-` or `.`, "
        "not beginning or ending in `-` or `.`; of letters without capitals 2 will do, of Chinese "
        "characters or Hangul 1; unlike all others, also to the eye",
    ),
]
Password = Annotated[str, verbatim("password", MAX_BYTES)]
NewPassword = Annotated[
    str,
    verbatim("password", None, MIN_CHARACTERS),
    Field(min_length=MIN_CHARACTERS, examples=["correct horse battery staple"]),
    AfterValidator(_not_too_long),
]
Email = Annotated[EmailStr, Field(max_length=254, examples=["ada@example.com"])]
DisplayName = Annotated[str, DISPLAY_NAME, Field(examples=["Ada Lovelace"])]


class Registration(BaseModel):
    username: Username
    email: Email
    password: NewPassword
    display_name: DisplayName | None = None


class ProfileUpdate(BaseModel):
    """What is left out, or null, stays as it is; only `avatar_file_id` null takes it away.

    Another e-mail address takes `current_password`; else that isn't looked at.
    """

    # Looked at where the present one is known: who keeps a name of older rules may say it again.
    username: Annotated[str, verbatim("username", 200)] | None = None
    email: Email | None = None
    display_name: DisplayName | None = None
    bio: Annotated[str, BIO] | None = None
    avatar_file_id: UUID | None = Field(None, description="A finished file of one's own")
    who_may_add: WhoMayAdd | None = Field(
        None, description="Who may add one to channels and open conversations with one"
    )
    current_password: Password | None = Field(
        None, description="With another `email`; a different spelling of one's own is none"
    )

    def changes(self) -> dict[str, Any]:
        """Return what is to be changed, by the names of the model."""
        given = self.model_dump(exclude_unset=True, exclude={"current_password"})
        return {
            name: value
            for name, value in given.items()
            if value is not None or name == "avatar_file_id"
        }


class PasswordChange(BaseModel):
    current_password: Password
    new_password: NewPassword


class AccountDeletion(BaseModel):
    password: Password = Field(description="The present one")


class UserPage(BaseModel):
    items: list[PublicUser]
    next: str | None = Field(None, description="`after` of the next page; null at the end")


@router.post(
    "/v1/auth/register",
    status_code=201,
    summary="Make an account",
    responses=problems(users.NameTaken, users.EmailTaken, Unavailable),
)
async def register(
    body: Registration, response: Response, work: WorkDep, passwords: PasswordsDep
) -> OwnUser:
    """Names are compared without regard to case and Unicode form, and by what they look like: one
    that looks like somebody's is `username-taken` as well. Log in with `POST /token`.
    """
    user = await users.register(
        work,
        passwords,
        username=body.username,
        email=body.email,
        password=body.password,
        display_name=body.display_name,
    )
    response.headers["Location"] = f"/v1/users/{user.id}"
    return user


@router.post(
    "/v1/auth/password",
    status_code=204,
    summary="Change one's own password",
    responses=problems(Unauthenticated, WrongPassword, TooManyTries, Unavailable),
)
async def change_password(
    body: PasswordChange, caller: Caller, work: WorkDep, guard: GuardDep
) -> None:
    """Every other login of yours ends."""
    await users.change_password(
        work,
        guard,
        user_id=caller.user_id,
        current_session=caller.session_id,
        current_password=body.current_password,
        new_password=body.new_password,
    )


@router.get("/v1/users/me", summary="One's own profile", responses=problems(Unauthenticated))
async def get_me(caller: Caller, work: WorkDep) -> OwnUser:
    """With the e-mail address, which nobody else is shown."""
    return await users.own(work, user_id=caller.user_id)


@router.patch(
    "/v1/users/me",
    summary="Change one's own profile",
    responses=problems(
        Unauthenticated,
        WrongPassword,
        users.NameTaken,
        users.EmailTaken,
        Invalid,
        AvatarNotYours,
        TooManyTries,
        Unavailable,
    ),
)
async def patch_me(
    body: ProfileUpdate, caller: Caller, work: WorkDep, guard: GuardDep, peers: PeersDep
) -> OwnUser:
    """What is left out stays as it is. Names may change: ids never do.

    Another e-mail address takes `current_password`. An avatar is a finished file of one's own:
    somebody else's is `avatar-not-yours`, as is one that nobody has. Where any of it is refused,
    nothing is changed.
    """
    return await users.update(
        work,
        guard,
        peers,
        user_id=caller.user_id,
        current_session=caller.session_id,
        current_password=body.current_password,
        changes=body.changes(),
    )


@router.delete(
    "/v1/users/me",
    status_code=204,
    summary="Delete one's own account",
    responses=problems(Unauthenticated, WrongPassword, TooManyTries, Unavailable),
)
async def delete_me(body: AccountDeletion, caller: Caller, work: WorkDep, guard: GuardDep) -> None:
    """It takes the password: a token alone erases nobody. Every login ends at once; every service
    erases or anonymises what it holds of you.
    """
    await users.erase(
        work,
        guard,
        user_id=caller.user_id,
        current_session=caller.session_id,
        password=body.password,
    )


@router.get(
    "/v1/users", summary="Find users by the beginning of their name",
    responses=problems(Unauthenticated, Invalid, RateLimited, Unavailable),
)  # fmt: skip
async def search_users(
    caller: Caller,
    costly: Costly,
    q: Annotated[str, verbatim("query", 32), Query(description="The beginning of a username")] = "",
    after: Annotated[
        Annotated[str, verbatim("cursor", 400)] | None, Query(description="From `next`")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> UserPage:
    """By name, without regard to case and Unicode form. `after` is the `next` of the page before:
    however many come and go meanwhile, nobody is shown twice and nobody left out. Few searches of
    one user run at a time.
    """
    key = None if after is None else _from_cursor(after)
    items, more = await users.search(
        costly, viewer_id=caller.user_id, prefix=q, after=key, limit=limit
    )
    return UserPage(items=items, next=None if more is None else _to_cursor(more))


@router.get(
    "/v1/users/{user_id}",
    summary="Somebody's public profile",
    responses=problems(Unauthenticated, NotFound),
)
async def get_user(user_id: UUID, _: Caller, work: WorkDep) -> PublicUser:
    """What everyone may see: never the e-mail address."""
    return await users.public(work, user_id=UserId(user_id))


def _to_cursor(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _from_cursor(cursor: str) -> str:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        key = storable(base64.b64decode(padded, altchars=b"-_", validate=True).decode())
    except (binascii.Error, ValueError) as error:
        raise Invalid("`after` is not a cursor from `next`") from error
    return key
