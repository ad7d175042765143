"""Names and addresses of accounts: which are accepted, and what they are compared by. Pure."""

import unicodedata
from contextlib import suppress
from functools import cache
from typing import Final

import idna

from sharezync_shared.names import usernames
from sharezync_shared.names.characters import compiled
from sharezync_shared.names.usernames import skeleton_of
from sharezync_shared.text import key_of

RESERVED: Final = frozenset(
    {
        *("channel", "here", "everyone", "all", "me", "deleted", "deleted-user"),
        *("system", "sharezync", "admin", "administrator", "root", "moderator"),
        *("staff", "support", "help", "security", "null", "undefined"),
    }
)
"""Keys that are nobody's: they mean something to us or to programs, or would pass for who runs the
server. Accounts that are older keep theirs.
"""


_ADDED: Final = r"[\s\p{Z}\p{Bidi_Control}\u200b\u2060\ufeff]+"


def clean_username(text: str) -> str:
    """Return a username as it is stored and shown.

    Raises ValueError, with what to do, for what `sharezync_shared.names.usernames` refuses, and for
    what is, or looks like, a reserved name.
    """
    name = usernames.clean_username(text)
    if key_of(name) in RESERVED or skeleton_of(name) in _reserved_skeletons():
        raise ValueError("this name is reserved; choose another")
    return name


def email_key(address: str) -> str:
    """Return what e-mail addresses are compared by: no case, one spelling of the domain (RFC 5891
    §5), and none of the spaces and marks of direction that keyboards and clipboards add.

    What has no `@` is compared as a username is, so that this serves both for who logs in: neither
    has anything of the kind in it.
    """
    # Here a full-width sign becomes the one that is looked for.
    typed = unicodedata.normalize("NFKC", compiled(_ADDED).sub("", address))
    mailbox, at, domain = typed.rpartition("@")
    if not at:
        return key_of(domain)
    with suppress(idna.IDNAError, UnicodeError):  # whose domain is none has no account
        # As e-mail addresses are checked when one registers: IDNA 2008, mapped by UTS #46.
        domain = idna.decode(idna.encode(domain, uts46=True))
    return key_of(f"{mailbox}@{domain}")


@cache
def _reserved_skeletons() -> frozenset[str]:
    return frozenset(map(skeleton_of, RESERVED))
