"""Accounts, profiles and user search."""

import base64
import binascii
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, BaseModel, EmailStr, Field

from sharezync_auth.api.dependencies import Context, Origin
from sharezync_auth.errors import (
    AvatarNotAnImage,
    AvatarNotYours,
    EmailTaken,
    NameTaken,
    TooManyTries,
    WrongPassword,
)
from sharezync_auth.names import clean_username
from sharezync_auth.passwords import MAX_BYTES, MIN_CHARACTERS
from sharezync_auth.schemas import OwnUser, PublicUser
from sharezync_auth.usecases import users
from sharezync_shared.contracts.auth import WhoMayAdd
from sharezync_shared.costly import Costly
from sharezync_shared.examples import examples
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

router = APIRouter(tags=["users"])
account_router = APIRouter(prefix="/v1/auth", tags=["authentication"])


def _not_too_long(password: str) -> str:
    if len(password.encode()) > MAX_BYTES:
        raise ValueError(f"at most {MAX_BYTES} bytes")
    return password


Username = Annotated[
    str,
    Policy("username", None, cleaned=clean_username),
    Field(
        examples=["ada"],
        description="3 to 32 letters of one alphabet, digits, `_`, `-` or `.`, not beginning or "
        "ending with `-` or `.`. 2 are enough in scripts without capitals, 1 for a Chinese "
        "character or a Hangul syllable. Must neither equal nor look like the name of another user",
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
    """An account to register."""

    model_config = examples(
        {
            "username": "ada",
            "email": "ada@example.com",
            "password": "correct horse battery staple",
            "display_name": "Ada Lovelace",
        },
        {
            "username": "bob",
            "email": "bob@example.com",
            "password": "twelve quiet purple rivers",
        },
    )

    username: Username
    email: Email
    password: NewPassword
    display_name: DisplayName | None = None


class ProfileUpdate(BaseModel):
    """Changes to a profile. Fields that are omitted or null stay unchanged, except that
    `avatar_file_id: null` removes the avatar.

    Changing the email address requires `current_password`.
    """

    model_config = examples(
        {"display_name": "Ada King", "bio": "Analyst", "who_may_add": "known"},
        {"email": "ada@example.org", "current_password": "correct horse battery staple"},
    )

    # Validated where the current one is known: a name of older rules may be sent again unchanged.
    username: Annotated[str, verbatim("username", 200)] | None = None
    email: Email | None = None
    display_name: DisplayName | None = None
    bio: Annotated[str, BIO] | None = None
    avatar_file_id: UUID | None = Field(
        None, description="Id of a file that you own; null removes the avatar"
    )
    who_may_add: WhoMayAdd | None = Field(
        None, description="Who may add you to channels and start conversations with you"
    )
    current_password: Password | None = Field(
        None, description="Required to change `email`, other than its spelling"
    )

    def changes(self) -> dict[str, Any]:
        given = self.model_dump(exclude_unset=True, exclude={"current_password"})
        return {
            name: value
            for name, value in given.items()
            if value is not None or name == "avatar_file_id"
        }


class PasswordChange(BaseModel):
    """The current and the new password."""

    model_config = examples(
        {
            "current_password": "correct horse battery staple",
            "new_password": "twelve quiet purple rivers",
        },
        {
            "current_password": "twelve quiet purple rivers",
            "new_password": "seven slow silver trains",
        },
    )

    current_password: Password
    new_password: NewPassword


class AccountDeletion(BaseModel):
    """Confirmation of a deletion."""

    password: Password | None = Field(
        None,
        description="Current password of the account; required, unless the server accepts a login "
        "of a moment ago (`RECENT_LOGIN_SECONDS`)",
    )


class UserPage(BaseModel):
    """A page of users."""

    items: list[PublicUser]
    next: str | None = Field(None, description="`after` of the next page; null on the last page")


@account_router.post(
    "/register",
    status_code=201,
    summary="Register a user",
    responses=problems(NameTaken, EmailTaken, Unavailable),
)
async def register_user(
    body: Registration, response: Response, context: Context, origin: Origin
) -> OwnUser:
    """Creates an account. Usernames are compared regardless of case and Unicode form, and by their
    appearance: a name that looks like an existing one is refused with `username-taken`. To log in,
    use `POST /token`.
    """
    user = await users.register(
        context.work, context.passwords, **body.model_dump(), address=origin.address
    )
    response.headers["Location"] = f"/v1/users/{user.id}"
    return user


@account_router.post(
    "/password",
    status_code=204,
    summary="Change your password",
    responses=problems(Unauthenticated, WrongPassword, TooManyTries, Unavailable),
)
async def change_password(body: PasswordChange, caller: Caller, context: Context) -> None:
    """Also ends all your other sessions."""
    await users.change_password(context, caller, **body.model_dump())


@router.get(
    "/v1/users/me", summary="Get the authenticated user", responses=problems(Unauthenticated)
)
async def get_current_user(caller: Caller, context: Context) -> OwnUser:
    """Returns your own profile, including the email address, which other users don't see."""
    return await users.own(context.work, caller.user_id)


@router.patch(
    "/v1/users/me",
    summary="Update the authenticated user",
    responses=problems(
        Unauthenticated,
        WrongPassword,
        NameTaken,
        EmailTaken,
        Invalid,
        AvatarNotYours,
        AvatarNotAnImage,
        TooManyTries,
        Unavailable,
    ),
)
async def update_current_user(body: ProfileUpdate, caller: Caller, context: Context) -> OwnUser:
    """Changes your profile. Omitted fields stay unchanged; if any field is refused, nothing is
    changed. Usernames may change, user ids never do.

    Changing the email address requires `current_password`. The avatar must be a completely uploaded
    image that you own, otherwise the answer is `avatar-not-yours` or `avatar-not-an-image`. Every
    user can read it as long as it is your avatar.
    """
    return await users.update(context, caller, body.changes(), body.current_password)


@router.delete(
    "/v1/users/me",
    status_code=204,
    summary="Delete the authenticated user",
    responses=problems(Unauthenticated, Invalid, WrongPassword, TooManyTries, Unavailable),
)
async def delete_current_user(body: AccountDeletion, caller: Caller, context: Context) -> None:
    """Deletes your account. Requires the password, so that a stolen token isn't enough. All
    sessions end at once, and every service erases or anonymizes your data.
    """
    await users.erase(context, caller, body.password)


@router.get(
    "/v1/users", summary="Search users by username",
    responses=problems(Unauthenticated, Invalid, RateLimited, Unavailable),
)  # fmt: skip
async def search_users(
    caller: Caller,
    costly: Costly,
    q: Annotated[str, verbatim("query", 32), Query(description="Beginning of the username")] = "",
    after: Annotated[
        Annotated[str, verbatim("cursor", 400)] | None,
        Query(description="`next` of the previous page"),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Maximum number of items")] = 20,
) -> UserPage:
    """Returns users whose name begins with `q`, ordered by name, regardless of case and Unicode
    form. Paging is stable: users who are created or deleted between two requests neither repeat nor
    hide others. The number of concurrent searches of each user is limited.
    """
    key = None if after is None else _from_cursor(after)
    items, more = await users.search(
        costly, viewer_id=caller.user_id, prefix=q, after=key, limit=limit
    )
    return UserPage(items=items, next=None if more is None else _to_cursor(more))


@router.get(
    "/v1/users/{user_id}",
    summary="Get a user",
    responses=problems(Unauthenticated, NotFound),
)
async def get_user(user_id: UUID, _: Caller, context: Context) -> PublicUser:
    """Returns the public profile of a user, without the email address."""
    return await users.public(context.work, UserId(user_id))


def _to_cursor(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _from_cursor(cursor: str) -> str:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        key = storable(base64.b64decode(padded, altchars=b"-_", validate=True).decode())
    except (binascii.Error, ValueError) as error:
        raise Invalid("`after` is not a cursor from `next`") from error
    return key
