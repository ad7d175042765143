"""Frames held against what the product says of them: its AsyncAPI document, read as a client would.

Nothing of ours is imported. `Protocol` knows the document; a `Conversation` follows one socket.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from uuid import UUID

from jsonschema_rs import Draft7, Draft7Validator, Draft202012Validator, Registry

Json = dict[str, Any]
By = Literal["client", "server"]

_DOCUMENT: Final = "urn:document"
_OBEYED: Final = frozenset({"reply", "resumed", "pong"})
"""Types of answers to frames that were understood."""


@dataclass(frozen=True)
class DocumentedMessage:
    """A message of the document."""

    name: str
    validator: Draft7Validator
    members: frozenset[str]

    def fault(self, frame: Json, *, strictly: bool) -> str | None:
        """Return what is wrong with a frame; `strictly`: members that it doesn't name are."""
        if strictly and (unknown := frame.keys() - self.members):
            return f"{self.name}: it has no {sorted(unknown)}"
        error = next(self.validator.iter_errors(frame), None)
        return f"{self.name}: {error.instance_path}: {error.message}" if error else None


class Protocol:
    """What the document says of each socket."""

    def __init__(self, document: Json) -> None:
        assert document["asyncapi"] == "3.0.0"
        self.document = document
        registry = Registry([(_DOCUMENT, document)], draft=Draft7)
        self._messages = {
            name: _message(document, name, registry)
            for name, each in document["components"]["messages"].items()
            if "x-layout" not in each
        }
        self._said: dict[tuple[str, By], dict[str, list[str]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self._answers: dict[tuple[str, str], list[str]] = {}
        for operation in document["operations"].values():
            self._take(operation)

    def _take(self, operation: Json) -> None:
        channel = _last(operation["channel"])
        by: By = "client" if operation["action"] == "receive" else "server"
        names = [_last(reference) for reference in operation["messages"]]
        answers = [_last(each) for each in operation.get("reply", {}).get("messages", ())]
        self._note(channel, by, names)
        self._note(channel, "server", answers)
        for name in names:
            if by == "client" and name in self._messages:
                self._answers[channel, self._type(name)] = answers

    def _note(self, channel: str, by: By, names: Iterable[str]) -> None:
        for name in names:
            if name in self._messages:
                known = self._said[channel, by][self._type(name)]
                if name not in known:
                    known.append(name)

    def _type(self, name: str) -> str:
        return str(self.document["components"]["messages"][name]["name"])

    def types(self, by: By, *, channel: str = "device") -> set[str]:
        """Return every type of frame that one side may send."""
        return set(self._said[channel, by])

    def fault(
        self,
        by: By,
        frame: Json,
        *,
        channel: str = "device",
        answers: Iterable[str] = (),
        strictly: bool = True,
    ) -> str | None:
        """Return what is wrong with a frame; None if it is one, and only one, of the document's.

        `answers` are the types of what a `reply` may be the answer to, where that is known.
        With `strictly` a client says only members that the document names, though it is promised
        that others are ignored: a test that relies on them relies on what isn't documented.
        """
        kind = frame.get("type")
        names = self._said[channel, by].get(str(kind), [])
        if kind == "reply" and answers:
            wanted = {name for each in answers for name in self._answers.get((channel, each), ())}
            names = [name for name in names if name in wanted]
        if not names:
            return f"{by}: there are no frames {kind!r} here"
        strictly = strictly and by == "client"
        faults = [self._messages[name].fault(frame, strictly=strictly) for name in names]
        fitting = [name for name, fault in zip(names, faults, strict=True) if fault is None]
        same_reply = kind == "reply" and not answers  # several commands are answered alike
        if len(fitting) == 1 or (fitting and same_reply):
            return None
        return f"is each of {fitting}" if fitting else "; ".join(filter(None, faults))

    def chunk_fault(self, frame: bytes, *, channel: str = "device") -> str | None:
        """Return what is wrong with a binary frame."""
        if "chunk" not in self.document["channels"][channel]["messages"]:
            return "there are no binary frames here"
        layout = self.document["components"]["messages"]["chunk"]["x-layout"]
        at = 0
        values: dict[str, int] = {}
        for part in layout["fields"]:
            values[part["name"]] = int.from_bytes(frame[at : at + part["bytes"]], "big")
            at += part["bytes"]
            if "value" in part and values[part["name"]] != part["value"]:
                return f"chunk: {part['name']} is {values[part['name']]}"
        if not at == layout["header_bytes"] <= len(frame):
            return "chunk: a header of another length"
        if not len(frame) - at == values["length"] <= layout["max_payload_bytes"]:
            return f"chunk: {values['length']} bytes were said"
        return None

    def close_fault(self, code: int | None, *, channel: str = "device") -> str | None:
        """Return what is wrong with a code that the server closed with."""
        known = self.document["channels"][channel]["x-close-codes"]
        return None if str(code) in known else f"close: there is no code {code}"


def valid_frame(document: Json, by: By, frame: Json) -> bool:
    """Whether a frame on a device's socket is one of the document's."""
    return Protocol(document).fault(by, frame) is None


@dataclass
class Conversation:
    """What is said on one socket. `faults` is empty as long as all of it is in the document.

    Clients may say what isn't in it, to see it refused: a fault is when it is obeyed.
    """

    protocol: Protocol
    channel: str = "device"
    strictly: bool = True
    """Whether a client may not say members that the document doesn't name."""
    faults: list[str] = field(default_factory=list)
    _asked: dict[Any, dict[str, str | None]] = field(default_factory=lambda: defaultdict(dict))

    def says(self, message: str | bytes) -> None:
        """The client sends this."""
        if isinstance(message, bytes):
            return  # a bad chunk has no id: that it is refused is for tests of chunks to show
        try:
            frame = json.loads(message)
        except (ValueError, RecursionError):
            return
        if isinstance(frame, dict) and isinstance(frame.get("id"), int | str | None):
            fault = self.protocol.fault(
                "client", frame, channel=self.channel, strictly=self.strictly
            )
            asked = self._asked[frame.get("id")]
            kind = str(frame.get("type"))
            # Of several with one id it is not known which is answered: one good one excuses all.
            asked[kind] = fault and asked.get(kind, fault)

    def hears(self, message: str | bytes) -> None:
        """The server sends this."""
        if isinstance(message, bytes):
            fault = self.protocol.chunk_fault(message, channel=self.channel)
        else:
            fault = self._fault(json.loads(message))
        if fault is not None:
            self.faults.append(f"{fault}: {str(message)[:1000]}")

    def _fault(self, frame: Json) -> str | None:
        asked = self._asked.get(frame.get("id"), {})
        if frame["type"] in _OBEYED and asked and all(asked.values()):
            return f"what isn't documented was obeyed ({asked})"
        return self.protocol.fault("server", frame, channel=self.channel, answers=asked)

    def closes(self, code: int | None) -> None:
        """The server has closed the socket with this code."""
        if (fault := self.protocol.close_fault(code, channel=self.channel)) is not None:
            self.faults.append(fault)

    def check(self) -> None:
        """Fail for what was said so far that isn't in the document."""
        assert not self.faults, self.faults[:3]


class DeclaredEvents:
    """What one service declares: `x-realtime` of its own document, before the gateway has it."""

    def __init__(self, declared: Json) -> None:
        registry = Registry([(_DOCUMENT, declared)])
        self.validators = {
            (each["stream"], each["type"]): Draft202012Validator(
                _absolute(each["data"]), registry=registry, validate_formats=True
            )
            for each in declared["events"]
        }
        self.signals = {(e["stream"], e["type"]) for e in declared["events"] if e["signal"]}

    def check(self, frame: Json) -> tuple[str, str]:
        """Return the kind of stream, and the type; fail where its data is not as declared."""
        key = (frame["stream"].partition(":")[0], frame["type"])
        assert key in self.validators, f"{key} is not declared"
        assert (key in self.signals) == ("seq" not in frame), frame
        error = next(self.validators[key].iter_errors(frame["data"]), None)
        assert error is None, f"{key}: {error.instance_path}: {error.message}"
        return key

    @property
    def declared(self) -> set[tuple[str, str]]:
        """The kinds of streams and the types of everything that is declared."""
        return set(self.validators)


def _message(document: Json, name: str, registry: Registry) -> DocumentedMessage:
    described = document["components"]["messages"][name]["payload"]
    if "$ref" in described:
        described = document["components"]["schemas"][_last(described)]
    validator = Draft7Validator(
        {"$ref": f"{_DOCUMENT}#/components/messages/{name}/payload"},
        registry=registry,
        validate_formats=True,
        formats={"uuid": _is_uuid},  # which draft 7 leaves to whoever reads it
    )
    return DocumentedMessage(name, validator, frozenset(described["properties"]))


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _absolute(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(schema, list):
        return [_absolute(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _DOCUMENT + value if key == "$ref" else _absolute(value)
        for key, value in schema.items()
    }


def _last(reference: Mapping[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]
