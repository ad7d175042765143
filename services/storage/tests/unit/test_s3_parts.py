"""How objects of any size are grouped into parts that S3 takes."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sharezync_storage.settings import GIB, MIB
from sharezync_storage.stores.object_uploads import Source
from sharezync_storage.stores.s3 import MAX_PARTS, MIN_PART_BYTES, PART_BYTES, in_parts

SIZES = st.one_of(
    st.integers(0, 3 * PART_BYTES),
    st.sampled_from([0, 1, MIB, MIN_PART_BYTES - 1, MIN_PART_BYTES, PART_BYTES - 1, PART_BYTES]),
)


@settings(deadline=None)
@given(st.lists(SIZES, max_size=200))
@example([MIN_PART_BYTES] * 13_108)  # 64 GiB of them: more than there may be parts
@example([MIB] * 65_536)
@example([PART_BYTES] * 8_192)
@example([PART_BYTES, 1] * 8_000)
def test_parts_are_in_order_large_enough_not_too_many_and_fit_into_memory(
    sizes: list[int],
) -> None:
    sources = [Source(str(number), size) for number, size in enumerate(sizes)]
    parts = in_parts(sources)
    assert [one for part in parts for one in part] == [one for one in sources if one.size_bytes]
    assert len(parts) <= MAX_PARTS
    totals = [sum(one.size_bytes for one in part) for part in parts]
    assert all(total >= MIN_PART_BYTES for total in totals[:-1])
    least = max(MIN_PART_BYTES, -(-sum(sizes) // (MAX_PARTS - 1)))
    for part, total in zip(parts, totals, strict=True):
        if len(part) > 1:  # gathered: what lies before the last one was not enough yet
            assert total - part[-1].size_bytes < max(PART_BYTES, least)
    assert sum(sizes) > 64 * GIB or least < PART_BYTES


def test_what_is_large_enough_is_copied_wherever_it_can_be() -> None:
    """Segments of tus, with the shorter ends of the uploads they came by."""
    sizes = [PART_BYTES, PART_BYTES, 3, PART_BYTES, PART_BYTES, 6 * MIB, MIB, MIB, PART_BYTES, 7]
    parts = in_parts([Source(str(number), size) for number, size in enumerate(sizes)])
    assert [[int(one.key) for one in part] for part in parts] == [
        [0], [1], [2, 3], [4], [5], [6, 7, 8], [9],
    ]  # fmt: skip
