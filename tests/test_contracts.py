"""What services serve for each other is declared once, served as declared, and arrives whole."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, make_dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
import pytest
from fastapi import APIRouter, Depends, FastAPI

from sharezync_shared.calls.client import ServiceClient
from sharezync_shared.calls.operations import Operation
from sharezync_shared.calls.serving import serve
from sharezync_shared.contracts import acquaintances, auth, chat, storage, streams, transfer
from sharezync_shared.events.contracts import published_by
from sharezync_shared.ids import uuid7
from sharezync_shared.problems import install_problem_handlers
from sharezync_shared.streams.frames import Control
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.keys import StaticKeys
from sharezync_shared.tokens.signing import SigningKey
from sharezync_shared.tokens.verifier import Revocations, TokenVerifier
from sharezync_testkit.service import platform_for_tests
from tests.test_texts import APPS

ROOT = Path(__file__).parent.parent
OWNERS: dict[str, list[ModuleType]] = {
    "auth": [auth, streams],
    "chat": [chat, streams, acquaintances],
    "transfer": [transfer, streams, acquaintances],
    "storage": [storage],
}
CONTRACTS = {module.__name__: module for modules in OWNERS.values() for module in modules}


def operations(module: ModuleType) -> dict[str, Operation[Any, Any]]:
    return {name: each for name, each in vars(module).items() if isinstance(each, Operation)}


ALL = {
    f"{module.__name__.rpartition('.')[2]}.{name}": operation
    for module in CONTRACTS.values()
    for name, operation in operations(module).items()
}


# --- one place ------------------------------------------------------------------------------------


def _written(source: str) -> Iterator[str]:
    """Yield the strings of a module, but for docstrings."""
    tree = ast.parse(source)
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


def test_no_path_of_the_services_is_written_outside_of_the_contracts() -> None:
    found = []
    for pattern in ("shared/src", "services/*/src", "embedded/src"):
        for folder in ROOT.glob(pattern):
            for path in folder.rglob("*.py"):
                if path.parent.name == "contracts" and path.parent.parent.name != "events":
                    continue
                texts = [t for t in _written(path.read_text()) if re.search(r"/internal/\w", t)]
                found += [f"{path.relative_to(ROOT)}: {text}" for text in texts]
    assert found == []
    assert list(_written('"""/internal/a"""\nx = f"/internal/{y}/b"')) == ["/internal/", "/b"]


@pytest.mark.parametrize("owner", OWNERS)
def test_what_is_declared_is_served_and_nothing_else(owner: str, tmp_path: Path) -> None:
    platform = platform_for_tests(owner, TokenIssuer(key=SigningKey.generate()))
    document = APPS[owner](platform, tmp_path).openapi()
    clashing = [name for name in document["components"]["schemas"] if "__" in name]
    assert clashing == [], "two shapes have the same name"
    paths = document["paths"]
    served = {
        (method.upper(), path)
        for path, methods in paths.items()
        if path.startswith("/internal/")
        for method in methods
    }
    declared = {
        (operation.method, operation.path)
        for module in OWNERS[owner]
        for operation in operations(module).values()
    }
    if owner == "storage":  # bytes, no shapes
        declared |= {("PUT", storage.CHUNK_PATH), ("GET", storage.CHUNK_PATH)}
    assert served == declared


# --- whole ----------------------------------------------------------------------------------------


def sample(kind: Any) -> Any:
    """Return a value of a type, with something in each of its fields."""
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{each.name: sample(hints[each.name]) for each in fields(kind)})
    if (origin := get_origin(kind)) is not None:
        return OF_OTHERS[origin](get_args(kind))
    return SAMPLES[getattr(kind, "__supertype__", kind)]()


def _one_of(kinds: tuple[Any, ...]) -> Any:
    return sample(next(each for each in kinds if each is not NoneType))


OF_OTHERS: dict[Any, Callable[[tuple[Any, ...]], Any]] = {
    Annotated: lambda inner: sample(inner[0]),
    Literal: lambda inner: inner[0],
    Union: _one_of,
    UnionType: _one_of,
    list: lambda inner: [sample(inner[0])],
    tuple: lambda inner: tuple(map(sample, inner)),
    dict: lambda inner: {sample(inner[0]): sample(inner[1])},
}
SAMPLES: dict[Any, Callable[[], Any]] = {
    int: lambda: 7,
    float: lambda: 1.5,
    str: lambda: "é",
    Any: lambda: "é",
    bool: lambda: True,
    UUID: uuid7,
    datetime: lambda: datetime.now(UTC),
    Control: lambda: Control(join=["a"]),
}


@pytest.mark.parametrize("name", [name for name, each in ALL.items() if is_dataclass(each.answer)])
def test_every_field_of_an_answer_arrives(name: str) -> None:
    operation = ALL[name]
    answer = sample(operation.answer)
    body = msgspec.json.encode(answer)
    assert msgspec.json.decode(body).keys() == {each.name for each in fields(operation.answer)}
    assert operation.decode(body) == answer
    newer = msgspec.json.encode({**msgspec.json.decode(body), "from_the_next_version": 1})
    assert operation.decode(newer) == answer, "a newer owner is understood"


@dataclass(frozen=True)
class Ask:
    text: str


@dataclass(frozen=True)
class Said:
    text: str


GET = Operation("GET", "/internal/things/{thing_id}", Ask, Said)
Query = Annotated[Ask, Depends()]


class ThingsClient(ServiceClient):
    service = "things"


async def test_a_field_that_the_owner_adds_reaches_whoever_calls() -> None:
    """It is written once, in the shape; neither side names the fields on the way."""
    newer: Any = make_dataclass("Said", [("more", int)], bases=(Said,), frozen=True)
    operation = replace(GET, answer=newer)
    router = APIRouter()

    async def get(thing_id: UUID, asked: Query) -> Any:
        return newer(f"{asked.text} {thing_id.int}", 7)

    get.__annotations__["return"] = newer
    serve(router, operation, summary="Get a thing")(get)
    issuer = TokenIssuer(key=SigningKey.generate())
    app = FastAPI()
    app.include_router(router)
    install_problem_handlers(app)
    app.state.verifier = TokenVerifier(
        StaticKeys({issuer.key.kid: issuer.key.public_key()}),
        issuer=issuer.issuer,
        audience=issuer.audience,
        revocations=Revocations(access_lifetime_seconds=60),
    )
    platform = platform_for_tests("chat", issuer, peers={"things": app})
    answer = await platform.client(ThingsClient).call(operation, Ask("a&b"), thing_id=UUID(int=1))
    assert answer == newer("a&b 1", 7)
    await platform.aclose()


def test_who_serves_something_else_than_is_declared_fails_at_import() -> None:
    async def another_answer(thing_id: UUID, asked: Query) -> Ask:
        return asked

    async def no_request(thing_id: UUID) -> Said:
        return Said("")

    for handler in (another_answer, no_request):
        with pytest.raises(TypeError, match=handler.__name__):
            serve(APIRouter(), GET, summary="Get a thing")(handler)


# --- facts ----------------------------------------------------------------------------------------


def test_a_fact_may_be_missed_if_no_service_consumes_it() -> None:
    consumed = {
        event
        for service in OWNERS
        for event in import_module(f"sharezync_{service}.consumers").CONSUMERS
    }
    published = {event for service in OWNERS for event in published_by(service)}
    assert consumed <= published
    assert {event for event in published if event.may_be_missed} == published - consumed
    assert published_by("gateway") == []
