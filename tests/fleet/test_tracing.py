"""What one request or command does in five processes is one trace, told to a collector."""

import secrets
from collections import Counter
from collections.abc import Collection, Iterator

import pytest

from sharezync_testkit.drilled_fleet import DrilledFleet
from sharezync_testkit.servers import Databases, VirtualHosts
from sharezync_testkit.waiting import wait_until
from tests.blackbox.test_files import upload
from tests.conftest import GENEROUS
from tests.fleet.collector import Collector, Told
from tests.fleet.conftest import SECRET_KEY
from tests.fleet.crowd import Crowd

pytestmark = pytest.mark.timeout(180)

ATTRIBUTES = {
    "db.namespace", "db.operation.name", "db.system.name", "http.request.method",
    "http.response.status_code", "http.route", "messaging.destination.name",
    "messaging.message.id", "messaging.operation.name", "messaging.operation.type",
    "network.protocol.name", "network.protocol.version", "rpc.method", "service.peer.name",
    "sharezync.connections", "url.template",
}  # fmt: skip
"""All that spans may say: nothing that people wrote, are called, or log in with."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced_fleet(
    tmp_path_factory: pytest.TempPathFactory,
    databases: Databases,
    virtual_hosts: VirtualHosts,
    collector: Collector,
) -> Iterator[DrilledFleet]:
    fleet = DrilledFleet(
        tmp_path_factory.mktemp("traced-fleet"),
        counts={"gateway": 2},
        amqp_url=virtual_hosts.new(),
        database_url=databases.new(),
        secret_key=SECRET_KEY,
        environment=GENEROUS
        | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer of-the-collector",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "FASTAPI_OTEL_AUTO_CONFIGURE": "true",  # whose spans would have paths
            "TRACES_RATIO": "0",
            "TRACES_ASKED_PER_SECOND": "100",
        },
    )
    with fleet:
        yield fleet


@pytest.fixture
def fleet(traced_fleet: DrilledFleet) -> DrilledFleet:
    return traced_fleet


class Tree:
    """The spans of a trace, found by what they are of."""

    def __init__(self, spans: list[Told]) -> None:
        self.spans = spans

    def one(self, service: str, kind: str, name: str, below: str | None = None) -> Told:
        """Return the one such span, directly below the span of this id."""
        found = [
            each
            for each in self.spans
            if (each.service, each.kind, each.name) == (f"sharezync-{service}", kind, name)
            and below in (None, each.parent_id)
        ]
        assert len(found) == 1, (service, kind, name, below, self.spans)
        return found[0]


def asked() -> tuple[str, str, str]:
    """Return a `traceparent` that asks to be recorded, its trace's and its span's id."""
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    return f"00-{trace_id}-{span_id}-01", trace_id, span_id


async def tree_of(collector: Collector, trace_id: str, names: Collection[tuple[str, str]]) -> Tree:
    """Return a trace when each process has told of these spans: each as often as it is named."""
    wanted = Counter((f"sharezync-{service}", name) for service, name in names)

    def told() -> Counter[tuple[str, str]]:
        return Counter((each.service, each.name) for each in collector.of_trace(trace_id))

    try:
        await wait_until(lambda: wanted <= told())
    except AssertionError:
        raise AssertionError(f"{wanted - told()} not among {told()}") from None
    return Tree(collector.of_trace(trace_id))


async def test_a_message_by_rest_is_one_trace_over_all_processes(
    crowd: Crowd, fleet: DrilledFleet, collector: Collector
) -> None:
    ada, bob = await crowd.register("ada", gateway=0), await crowd.register("bob", gateway=1)
    channel = await ada.channel()
    await ada.add(channel, bob)
    file = await upload(ada)
    traceparent, trace_id, span_id = asked()
    async with bob.connected() as bobs:
        answer = await ada.http.post(
            f"/v1/channels/{channel}/messages",
            json={"text": "a secret", "attachments": [file["id"]]},
            headers={"traceparent": traceparent, "tracestate": "vendor=of-ada"},
        )
        assert answer.status_code == 201, answer.text
        event = await bobs.event("message.created", text="a secret")
    assert event["traceparent"][3:35] == trace_id
    route = "POST /v1/channels/{channel_id}/messages"
    tree = await tree_of(
        collector,
        trace_id,
        [
            ("gateway", "deliver message.created"),
            ("gateway", "POST /v1/channels/{id}/messages"),
            ("chat", "send chat.message.sent.v1"),
            ("storage", "process chat.message.sent.v1"),
        ],
    )
    request = tree.one("gateway", "SERVER", "POST /v1/channels/{id}/messages", below=span_id)
    forwarded = tree.one("gateway", "CLIENT", "POST chat", below=request.span_id)
    served = tree.one("chat", "SERVER", route, below=forwarded.span_id)
    described = tree.one("chat", "CLIENT", "GET /internal/files", below=served.span_id)
    tree.one("storage", "SERVER", "GET /internal/files", below=described.span_id)
    tree.one("chat", "CLIENT", "transaction chat", below=served.span_id)
    published = tree.one("chat", "PRODUCER", "send chat.message.sent.v1", below=served.span_id)
    consumed = tree.one(
        "storage", "CONSUMER", "process chat.message.sent.v1", below=published.span_id
    )
    tree.one("storage", "CLIENT", "transaction storage", below=consumed.span_id)
    delivered = tree.one("gateway", "CONSUMER", "deliver message.created", below=served.span_id)
    assert event["traceparent"] == f"00-{trace_id}-{served.span_id}-01"
    assert delivered.instance != request.instance, "the other gateway"
    assert {each.tracestate for each in (request, served, consumed)} == {"vendor=of-ada"}
    assert collector.authorizations == {"Bearer of-the-collector"}
    for each in tree.spans:
        assert each.attributes.keys() <= ATTRIBUTES, each
        told = str(each)
        assert not [word for word in ("a secret", ada.username, ada.token) if word in told], each


async def test_a_command_of_a_socket_is_one_trace(
    crowd: Crowd, fleet: DrilledFleet, collector: Collector
) -> None:
    ada, bob = await crowd.register("ada", gateway=0), await crowd.register("bob", gateway=1)
    channel = await ada.channel()
    await ada.add(channel, bob)
    traceparent, trace_id, span_id = asked()
    async with ada.connected() as adas, bob.connected() as bobs:
        for text, said in (("traced", traceparent), ("not", "malformed"), ("not long", "x" * 999)):
            reply = await adas.command(
                "send_message", channel_id=channel, text=text, traceparent=said
            )
            assert reply["type"] == "reply", reply
        event = await bobs.event("message.created", text="traced")
        others = [await bobs.event("message.created", text=text) for text in ("not", "not long")]
    assert event["traceparent"][3:35] == trace_id
    assert not [each for each in others if "traceparent" in each]
    tree = await tree_of(
        collector,
        trace_id,
        [
            *[("gateway", "deliver message.created")] * 2,  # both have a reader
            ("gateway", "send_message"),
            ("gateway", "POST /internal/commands"),
            ("chat", "POST /internal/commands"),
            ("chat", "send_message"),
        ],
    )
    command = tree.one("gateway", "SERVER", "send_message", below=span_id)
    carried = tree.one("chat", "SERVER", "send_message", below=command.span_id)
    call = tree.one("gateway", "CLIENT", "POST /internal/commands", below=command.span_id)
    tree.one("chat", "SERVER", "POST /internal/commands", below=call.span_id)
    tree.one("chat", "CLIENT", "transaction chat", below=carried.span_id)
    deliveries = [each for each in tree.spans if each.name == "deliver message.created"]
    assert {each.parent_id for each in deliveries} == {carried.span_id}
    assert len({each.instance for each in deliveries}) == 2


async def test_what_did_not_ask_is_not_recorded_and_is_passed_on(
    crowd: Crowd, fleet: DrilledFleet, collector: Collector
) -> None:
    ada = await crowd.register("ada", gateway=0)
    channel = await ada.channel()
    traceparent, trace_id, _ = asked()
    unasked = traceparent[:-2] + "00"
    async with ada.connected() as adas:
        for text, said in (("marked", unasked), ("plain", "malformed")):
            await ada.http.post(
                f"/v1/channels/{channel}/messages",
                json={"text": text},
                headers={"traceparent": said},
            )
        marked = await adas.event("message.created", text="marked")
        plain = await adas.event("message.created", text="plain")
    assert marked["traceparent"] == unasked
    assert "traceparent" not in plain
    assert collector.of_trace(trace_id) == []
