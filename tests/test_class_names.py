"""One class name has one meaning in the product: who searches for it finds what it is."""

import ast
import re
from collections import defaultdict
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
PACKAGES: Final = ("shared/src", "services/*/src", "embedded/src", "testkit/src")
"""Without the client: it speaks of the documents of the API by the names that the services use."""
SEVERAL: Final = {
    "BodyBroken": "the same refusal, by the gateway and storage",
    "BodyTooSlow": "as BodyBroken",
    "Chunk": "a part of a file: a row of storage, and what a gateway has in hand",
    "ChunkConflict": "as BodyBroken",
    "ChunkCorrupt": "as BodyBroken",
    "ChunkLength": "as BodyBroken",
    "ChunkOutside": "as BodyBroken",
    "DigestMismatch": "the same refusal, by storage and transfer",
    "FileRead": "a schema of storage's API, and one of transfer's",
    "MarkRead": "the same command, as the gateway and chat read it",
    "NotInThisState": "the same refusal, by the gateway and transfer",
    "QuotaExceeded": "the same refusal, by all who tell it",
    "Replay": "the same request, by a client and by a gateway",
    "SendMessage": "as MarkRead",
    "TokenRead": "a schema of auth's API, and one of transfer's",
    "TooManyFiles": "as DigestMismatch",
    "TransferOver": "as NotInThisState",
    "UploadClosed": "as BodyBroken",
    "UploadIncomplete": "as DigestMismatch",
    "UploadInterrupted": "as BodyBroken",
    "User": "a user, as each service knows them",
    "UserNotFound": "the same refusal, by each service",
}
"""Names that several classes have which are the same thing, and what it is."""


def product_files() -> list[Path]:
    """Return all modules of the packages, but migrations."""
    found = (
        source
        for package in PACKAGES
        for folder in ROOT.glob(package)
        for source in folder.rglob("*.py")
    )
    return sorted(source for source in found if "migrations" not in source.parts)


def public_classes() -> dict[str, list[str]]:
    """Return where each class is defined that other modules may use."""
    found: dict[str, list[str]] = defaultdict(list)
    for source in product_files():
        for node in ast.parse(source.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(source.relative_to(ROOT)))
    return found


def sentences(tree: ast.Module) -> list[str]:
    """Return the strings of several words in a module that are no docstrings."""
    documentation = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)
    }  # a string by itself documents what stands before it
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.search(r"\w \w", node.value)  # no annotation: there `|` is between words
        and id(node) not in documentation
    ]


def test_no_sentence_that_people_read_has_the_name_of_a_class() -> None:
    """Where a name was changed everywhere, a word of a sentence may have been taken for it."""
    names = {name for name in public_classes() if re.fullmatch(r"([A-Z][a-z0-9]+){2,}", name)}
    found = [
        f"{source.relative_to(ROOT)}: {text!r}"
        for source in product_files()
        for text in sentences(ast.parse(source.read_text()))
        if names & set(re.findall(r"\w+", re.sub(r"`[^`]*`", "", text)))
    ]
    assert found == []


def test_a_class_name_has_one_meaning() -> None:
    several = {name: where for name, where in public_classes().items() if len(where) > 1}
    assert {name: where for name, where in several.items() if name not in SEVERAL} == {}


def test_what_is_excepted_is_there() -> None:
    several = {name for name, where in public_classes().items() if len(where) > 1}
    assert set(SEVERAL) - several == set()
