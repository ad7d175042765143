"""Messages that have begun: which of them is failed where all together hold too much."""

from dataclasses import dataclass

from sharezync_shared.server.unfinished import UnfinishedMessages


@dataclass(eq=False)
class Peer:
    received_bytes: int = 0
    failed: bool = False

    def fail_unfinished(self) -> None:
        self.failed = True


def test_who_has_stalled_is_failed_before_who_is_slow() -> None:
    messages = UnfinishedMessages(max_bytes=1000)
    slow, *stalled = (Peer() for _ in range(10))
    messages.note(slow, 100, now=0)
    for peer in stalled:
        messages.note(peer, 90, now=1)
        peer.received_bytes += 89  # at once, and then nothing more
    for now in range(2, 20):
        slow.received_bytes += 1
        for peer in stalled:
            messages.note(peer, 90 if not peer.failed else 0, now=now)
    another = Peer()
    messages.note(another, 100, now=20)
    assert not slow.failed
    assert not another.failed
    assert sum(peer.failed for peer in stalled) == 1


def test_while_nothing_is_known_the_last_one_is_failed() -> None:
    messages = UnfinishedMessages(max_bytes=300)
    peers = [Peer() for _ in range(4)]
    for peer in peers:
        messages.note(peer, 100, now=0)
    assert [peer.failed for peer in peers] == [False, False, False, True]


def test_what_has_come_whole_or_never_will_holds_nothing() -> None:
    messages = UnfinishedMessages(max_bytes=300)
    first, second, third = (Peer() for _ in range(3))
    messages.note(first, 300, now=0)
    messages.note(first, 0, now=0)
    messages.note(second, 300, now=0)
    messages.discard(second)
    messages.discard(second)
    messages.note(third, 300, now=0)
    assert not any(peer.failed for peer in (first, second, third))
