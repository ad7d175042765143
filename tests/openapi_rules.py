"""Rules for the words and names of OpenAPI documents, in the spirit of Spectral's `oas` set."""

import re
from collections.abc import Iterator
from typing import Any, Final

from jsonschema_rs import Draft202012Validator

Document = dict[str, Any]

TAGS: Final = (
    "authentication", "users", "devices", "channels", "messages", "search", "files", "uploads",
    "transfers", "realtime", "health",
)  # fmt: skip
"""The tags of the merged document, in the order in which a client needs them."""

VERBS: Final = {
    "get": "list get search download",
    "head": "get check",
    "options": "get",
    "post": "create register change log join leave transfer add accept upload complete override "
    "download reject pause resume cancel confirm",
    "put": "update block ban add pin mark upload",
    "patch": "update append",
    "delete": "delete revoke remove cancel unblock unban unpin",
}
"""What operation ids begin with, by method; generated clients name their methods so."""

INTERNAL_VERBS: Final = {
    "get": "replay check",
    "post": "list get check run connect disconnect renew report",
    "put": "replace grant",
}
"""What they may begin with besides, between services."""

SUMMARY_WORDS: Final = re.compile(
    r"(Accept|Add|Append|Ban|Block|Cancel|Change|Check|Complete|Confirm|Connect|Create|Delete"
    r"|Disconnect|Download|Edit|Get|Grant|Join|Leave|List|Log|Mark|Override|Pause|Pin|Post|Register"
    r"|Reject|Remove|Renew|Replace|Replay|Report|Resume|Revoke|Run|Search|Start|Transfer|Unban"
    r"|Unblock|Unpin|Update|Upload|Liveness|Readiness)\b"
)
MAX_SUMMARY: Final = 60

METAPHORS: Final = re.compile(
    r"\b(doors?|rooms?|house|crew|whoever|whom|somebody('s)?|oneself|one's|(?-i:heads?)|told|tells?"
    r"|hears?|heed|beats?|seats?|lives|alive|(?-i:rests?)|rim|strangers?|truth|company|mend|dearest"
    r"|looks? at|go(es)? on|gives? up|come in|came of)\b",
    re.IGNORECASE,
)
"""Words of no standard vocabulary, or with another meaning in it."""

_OBVIOUS_PROPERTIES: Final = 1
_OPERATION_ID: Final = re.compile(r"[a-z0-9]+(_[a-z0-9]+)+")
_TEXTS: Final = ("summary", "description", "title", "meaning")


def faults_of(document: Document, *, tags: tuple[str, ...] = TAGS) -> list[str]:
    """Return what is wrong with a document, each fault as `where: what`.

    `tags` are those that operations outside `/internal` may have, in their order.
    """
    return [
        *_of_tags(document, tags),
        *_of_operation_ids(document),
        *(
            fault
            for path, method, operation in operations_of(document)
            for fault in _of_operation(document, path, method, operation)
        ),
        *_of_schemas(document),
        *metaphors_in(document),
    ]


def operations_of(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Yield each operation with its path and method."""
    for path, item in document["paths"].items():
        for method in VERBS:
            if method in item:
                yield path, method, item[method]


def _of_tags(document: Document, tags: tuple[str, ...]) -> Iterator[str]:
    declared = [tag["name"] for tag in document.get("tags", ())]
    order = [*tags, "internal"]
    for tag in document.get("tags", ()):
        if not tag.get("description"):
            yield f"tag {tag['name']}: no description"
    if unknown := set(declared) - set(order):
        yield f"tags: unknown {sorted(unknown)}"
    elif declared != sorted(declared, key=order.index):
        yield f"tags: not in the order {order}"
    for path, method, operation in operations_of(document):
        if len(operation.get("tags", ())) != 1 or operation["tags"][0] not in declared:
            yield f"{method} {path}: wants one declared tag, has {operation.get('tags')}"


def _of_operation_ids(document: Document) -> Iterator[str]:
    seen: set[str] = set()
    for path, method, operation in operations_of(document):
        name = operation.get("operationId", "")
        where = f"{method} {path}"
        if name in seen:
            yield f"{where}: operationId {name} is not unique"
        seen.add(name)
        allowed = VERBS[method]
        if path.startswith("/internal"):
            allowed += " " + INTERNAL_VERBS.get(method, "")
        if not _OPERATION_ID.fullmatch(name) or name.split("_")[0] not in allowed.split():
            yield f"{where}: operationId {name!r} is not a verb of {method} and a noun"


def _of_operation(document: Document, path: str, method: str, operation: Document) -> Iterator[str]:
    where = f"{method} {path}"
    summary = operation.get("summary", "")
    if not SUMMARY_WORDS.match(summary):
        yield f"{where}: summary {summary!r} doesn't begin with an imperative"
    if len(summary) > MAX_SUMMARY or summary.endswith("."):
        yield f"{where}: summary {summary!r} is too long or ends with a period"
    description = operation.get("description", "")
    if not description.endswith((".", "`")):
        yield f"{where}: description {description!r} is no sentence"
    for parameter in operation.get("parameters", ()):
        if not parameter.get("description"):
            yield f"{where}: parameter {parameter['name']} has no description"
    yield from _of_responses(where, method, operation)
    if not path.startswith("/internal"):
        yield from _of_examples(document, where, operation)


def _of_responses(where: str, method: str, operation: Document) -> Iterator[str]:
    for status, response in operation["responses"].items():
        if not response.get("description"):
            yield f"{where}: response {status} has no description"
        if status[0] in "45" and method != "head":
            contents = response.get("content", {}).values()
            if not contents or not all("examples" in content for content in contents):
                yield f"{where}: error {status} has no example"
        for name, header in response.get("headers", {}).items():
            if not header.get("description"):
                yield f"{where}: header {name} of {status} has no description"


def _of_examples(document: Document, where: str, operation: Document) -> Iterator[str]:
    """Two examples of each body that isn't obvious: of more than one property."""
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = content.get("schema", {})
        for found in _objects(document, schema):
            examples = [example["value"] for example in content.get("examples", {}).values()]
            examples += [*schema.get("examples", ()), *found.get("examples", ())]
            if len(found.get("properties", {})) > _OBVIOUS_PROPERTIES and len(examples) < 2:
                yield f"{where}: {media_type} wants two examples"
            validator = Draft202012Validator({**schema, "components": document["components"]})
            for example in examples:
                for error in validator.iter_errors(example):
                    yield f"{where}: example {example}: {error.message}"


def _objects(document: Document, schema: Document) -> Iterator[Document]:
    """Yield the schema of the object that a body is, or may be."""
    for each in (schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        target = _resolved(document, each)
        if "properties" in target:
            yield target


def _resolved(document: Document, schema: Document) -> Document:
    if "$ref" not in schema:
        return schema
    found: Document = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def _of_schemas(document: Document) -> Iterator[str]:
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        if not schema.get("description"):
            yield f"schema {name}: no description"
        yield from _of_properties(document, name, schema)
    for path, method, operation in operations_of(document):
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in (each for body in bodies for each in body.get("content", {}).values()):
            yield from _of_properties(document, f"{method} {path}", content.get("schema", {}))


def _of_properties(document: Document, where: str, schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for each in schema:
            yield from _of_properties(document, where, each)
    if not isinstance(schema, dict):
        return
    for name, each in schema.get("properties", {}).items():
        if not each.get("description") and not _resolved(document, each).get("description"):
            yield f"{where}: property {name} has no description"
        yield from _of_properties(document, f"{where}.{name}", each)
    for key in ("items", "anyOf", "oneOf", "allOf", "additionalProperties"):
        yield from _of_properties(document, where, schema.get(key))


def metaphors_in(document: Document) -> Iterator[str]:
    """Yield each text of an OpenAPI or AsyncAPI document that has a word of `METAPHORS`."""
    texts = set(_texts(document, ""))
    for where, text in sorted(texts):
        if found := METAPHORS.search(re.sub(r"`[^`]*`", "", text)):
            yield f"{where}: {found[0]!r} in {text!r}"


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for item in value:
            yield from _texts(item, where)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in _TEXTS and isinstance(item, str):
                yield where, item
            elif key not in {"examples", "example", "x-realtime", "correlationId"}:
                yield from _texts(item, f"{where} {key}".strip())
