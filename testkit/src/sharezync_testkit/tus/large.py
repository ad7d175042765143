"""Uploads of more than a store keeps in one piece: cut anywhere, broken anywhere, joined."""

import hashlib
import itertools
import os

from sharezync_testkit.tus.client import Tus

MIB = 1024 * 1024
DATA = os.urandom(21 * MIB + 77)
"""Two segments of a bucket, and a bit."""


class TestLargeOnes:
    async def test_requests_end_where_they_like_and_segments_are_joined(
        self, newcomer: Tus
    ) -> None:
        url = await newcomer.new(len(DATA))
        offset = 0
        for size in (1, 5 * MIB - 1, 3 * MIB, 7, 9 * MIB, len(DATA)):
            answer = await newcomer.patch(url, offset, DATA[offset : offset + size])
            assert answer.status_code == 204, answer.text
            offset = min(offset + size, len(DATA))
            assert answer.headers["upload-offset"] == str(offset)
        await newcomer.became(url, DATA)
        [file] = await newcomer.files()
        assert file["sha256"] == hashlib.sha256(DATA).hexdigest()

    async def test_what_came_of_a_broken_body_counts_to_the_byte(self, tus: Tus) -> None:
        url = await tus.new(len(DATA))
        cuts = [0, 300_001, 8 * MIB + 5, 16 * MIB, len(DATA) - 1]
        for start, end in itertools.pairwise(cuts):
            async with tus.patching(url, start, len(DATA) - start) as wire:
                await wire.send(DATA[start:end])
                wire.hang_up()
                await tus.stands_at(url, end)
        assert (await tus.patch(url, cuts[-1], DATA[cuts[-1] :])).status_code == 204
        await tus.became(url, DATA)

    async def test_large_and_small_parts_are_joined_in_the_order_of_the_list(
        self, tus: Tus
    ) -> None:
        cuts = [0, 9 * MIB, 9 * MIB + 3, 15 * MIB, 15 * MIB, len(DATA)]
        contents = [DATA[start:end] for start, end in itertools.pairwise(cuts)]
        parts = [await tus.part(content) for content in contents]
        final = await tus.new(upload_concat=f"final;{' '.join(parts)}")
        await tus.became(final, DATA)
        again = await tus.new(upload_concat=f"final;{' '.join(reversed(parts))}")
        await tus.became(again, b"".join(reversed(contents)))
