"""The server alone: it reads the same requests out of any bytes as h11 does."""

from hypothesis import given

from tests.edge.conftest import BareServer
from tests.edge.echo import difference
from tests.edge.examples import examples
from tests.edge.oddities import odd
from tests.edge.streams import Stream, echo_messages, streams
from tests.edge.verdict import complaint


@examples(150)
@given(stream=streams(echo_messages()))
def test_every_regular_request_has_its_answer(bare_server: BareServer, stream: Stream) -> None:
    outcome = bare_server.exchange(stream)
    assert complaint(stream, outcome, difference) == ""


@examples(150)
@given(stream=streams(echo_messages(), odd=odd))
def test_an_odd_request_is_read_as_the_reference_does_or_refused(
    bare_server: BareServer, stream: Stream
) -> None:
    outcome = bare_server.exchange(stream)
    assert complaint(stream, outcome, difference) == ""
