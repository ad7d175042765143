"""How a file is cut into chunks. Pure."""

from sharezync_shared.ranges import Ranges


def chunk_count(size_bytes: int, chunk_size_bytes: int) -> int:
    """Return how many chunks a file has; an empty one has none."""
    return -(-size_bytes // chunk_size_bytes)


def bytes_in(ranges: Ranges, size_bytes: int, chunk_size_bytes: int) -> int:
    """Return how many bytes of a file these of its chunks hold; only the last may be shorter."""
    count = chunk_count(size_bytes, chunk_size_bytes)
    inside = ranges.below(count)
    total = inside.count * chunk_size_bytes
    if count and count - 1 in inside:
        total -= count * chunk_size_bytes - size_bytes
    return total
