"""Files, chunks and bytes agree with each other."""

from hypothesis import given
from hypothesis import strategies as st

from sharezync_shared.ranges import Ranges
from sharezync_transfer.cutting import bytes_in, chunk_count

SIZES = st.integers(0, 50)
CHUNKS = st.integers(1, 9)


@given(SIZES, CHUNKS)
def test_all_chunks_together_are_the_file(size_bytes: int, chunk_bytes: int) -> None:
    count = chunk_count(size_bytes, chunk_bytes)
    assert (count - 1) * chunk_bytes < size_bytes <= count * chunk_bytes or count == size_bytes == 0
    assert bytes_in(Ranges.whole(count), size_bytes, chunk_bytes) == size_bytes
    assert bytes_in(Ranges(), size_bytes, chunk_bytes) == 0


@given(SIZES, CHUNKS, st.frozensets(st.integers(0, 60)))
def test_each_chunk_counts_with_its_own_length(
    size_bytes: int, chunk_bytes: int, indexes: frozenset[int]
) -> None:
    content = bytes(size_bytes)
    expected = sum(len(content[i * chunk_bytes : (i + 1) * chunk_bytes]) for i in indexes)
    assert bytes_in(Ranges((i, i) for i in indexes), size_bytes, chunk_bytes) == expected
