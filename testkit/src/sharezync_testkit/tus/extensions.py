"""Checksum, termination and concatenation of tus 1.0.0, and that nobody else may."""

import base64
import hashlib
import zlib

import pytest

from sharezync_testkit.tus.client import UPLOADS, Tus, code_of, metadata
from sharezync_testkit.tus.protocol import NOBODYS


def checksum(algorithm: str, content: bytes) -> str:
    """Return what `Upload-Checksum` says of `content`."""
    if algorithm == "crc32":
        digest = zlib.crc32(content).to_bytes(4, "big")
    else:
        digest = hashlib.new(algorithm, content).digest()
    return f"{algorithm} {base64.b64encode(digest).decode()}"


class TestChecksums:
    @pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5", "crc32"])
    async def test_if_the_checksums_match_it_is_204(self, tus: Tus, algorithm: str) -> None:
        url = await tus.new(11)
        for offset, content in ((0, b"hello"), (5, b" world")):
            said = checksum(algorithm, content)
            answer = await tus.patch(url, offset, content, upload_checksum=said)
            assert answer.status_code == 204
            assert answer.headers["upload-offset"] == str(offset + len(content))
        assert await tus.content(url) == b"hello world"

    @pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5", "crc32"])
    async def test_if_they_mismatch_it_is_460_and_the_chunk_is_discarded(
        self, tus: Tus, algorithm: str
    ) -> None:
        url = await tus.new(11, b"hello")
        wrong = checksum(algorithm, b"something else")
        answer = await tus.patch(url, 5, b" world", upload_checksum=wrong)
        assert (answer.status_code, code_of(answer)) == (460, "checksum-mismatch")
        assert await tus.offset(url) == 5
        right = checksum(algorithm, b" thing")
        assert (await tus.patch(url, 5, b" thing", upload_checksum=right)).status_code == 204
        assert await tus.content(url) == b"hello thing"

    @pytest.mark.parametrize(
        "said",
        [
            "sha3 AAAA", "SHA1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "sha1", "", "sha1 AAAA",
            "sha1 !", "Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
        ],
    )  # fmt: skip
    async def test_if_the_algorithm_is_not_supported_it_is_400_and_nothing_is_updated(
        self, tus: Tus, said: str
    ) -> None:
        url = await tus.new(11)
        answer = await tus.patch(url, 0, b"hello world", upload_checksum=said)
        assert (answer.status_code, code_of(answer)) == (400, "checksum-unsupported")
        assert "sha1" in answer.json()["algorithms"]
        assert await tus.offset(url) == 0

    async def test_of_a_broken_body_with_a_checksum_nothing_counts(self, tus: Tus) -> None:
        content = bytes(300_000)
        url = await tus.new(len(content))
        said = checksum("sha1", content)
        async with tus.patching(url, 0, len(content), upload_checksum=said) as wire:
            await wire.send(content[:200_000])
            wire.hang_up()
        answer = await tus.patch(url, 0, content, upload_checksum=said)
        while answer.status_code == 423:  # until the one before has ended
            answer = await tus.patch(url, 0, content, upload_checksum=said)
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, "300000")


class TestTermination:
    async def test_an_unfinished_upload_is_terminated_with_204(self, tus: Tus) -> None:
        url = await tus.new(10, b"hello")
        answer = await tus.ask("DELETE", url)
        assert (answer.status_code, answer.content) == (204, b"")

    async def test_all_future_requests_should_be_404_or_410(self, tus: Tus) -> None:
        url = await tus.new(10, b"hello")
        await tus.ask("DELETE", url)
        answers = [
            await tus.head(url),
            await tus.patch(url, 5, b"x"),
            await tus.ask("DELETE", url),
            await tus.http.get(url),
        ]
        assert {answer.status_code for answer in answers} <= {404, 410}
        assert not any("upload-offset" in answer.headers for answer in answers)

    async def test_the_associated_resources_should_be_freed(self, newcomer: Tus) -> None:
        before = await newcomer.usage()
        url = await newcomer.new(10, b"hello")
        assert await newcomer.usage() != before
        await newcomer.ask("DELETE", url)
        assert await newcomer.usage() == before

    async def test_a_completed_upload_is_terminated_with_its_file(self, newcomer: Tus) -> None:
        before = await newcomer.usage()
        url = await newcomer.new(5, b"hello")
        assert (await newcomer.ask("DELETE", url)).status_code == 204
        assert (await newcomer.head(url)).status_code in {404, 410}
        assert await newcomer.files() == []
        assert await newcomer.usage() == before

    async def test_what_was_never_there_is_404(self, tus: Tus) -> None:
        assert (await tus.ask("DELETE", NOBODYS)).status_code == 404


class TestConcatenation:
    async def test_the_parts_must_be_concatenated_in_the_order_of_the_list(self, tus: Tus) -> None:
        world, hello = await tus.part(b" world"), await tus.part(b"hello")
        final = await tus.new(upload_concat=f"final;{hello} {world}")
        assert await tus.content(final) == b"hello world"

    async def test_the_length_must_be_the_sum_of_all_parts_and_offset_and_length_equal(
        self, tus: Tus
    ) -> None:
        parts = [await tus.part(b"x" * size) for size in (3, 0, 7)]
        final = await tus.new(upload_concat=f"final;{' '.join(parts)}")
        answer = await tus.head(final)
        assert answer.headers["upload-length"] == answer.headers["upload-offset"] == "10"

    async def test_head_must_include_upload_concat_as_received(self, tus: Tus) -> None:
        part = await tus.new(5, upload_concat="partial")
        answer = await tus.head(part)
        assert (answer.headers["upload-concat"], answer.headers["upload-offset"]) == (
            "partial",
            "0",
        )
        await tus.patch(part, 0, b"hello")
        assert (await tus.head(part)).headers["upload-concat"] == "partial"
        for said in (f"final;{part}", f"final;https://elsewhere.test{part}  {part}"):
            final = await tus.new(upload_concat=said)
            assert (await tus.head(final)).headers["upload-concat"] == said

    async def test_urls_of_parts_may_be_absolute_or_relative(self, tus: Tus) -> None:
        part = await tus.part(b"ab")
        name = part.rpartition("/")[2]
        host = str(tus.http.base_url).rstrip("/")
        urls = [
            part, f"{host}{part}", f"https://x.test/api{part}", f"//x.test{part}", f"{part}/",
            f"uploads/{name}", f"{UPLOADS}/{name.upper()}",
        ]  # fmt: skip
        final = await tus.new(upload_concat=f"final;{' '.join(urls)}")
        assert await tus.content(final) == b"ab" * len(urls)

    @pytest.mark.parametrize(
        "said",
        [
            "final", "final;", "partially", "", "Partial", "partial;/a",
            "final;/v1/uploads/a", "final;/v1/files/01936f0c-2b7e-7d33-8a53-6d9f4c1e2b70",
            "final;http://[/v1/uploads/01936f0c-2b7e-7d33-8a53-6d9f4c1e2b70",
        ],
    )  # fmt: skip
    async def test_any_other_value_is_refused(self, tus: Tus, said: str) -> None:
        length = None if said.startswith("final") else 3
        answer = await tus.create(length, upload_concat=said)
        assert (answer.status_code, code_of(answer)) == (400, "malformed")

    async def test_the_client_must_not_include_upload_length_in_the_final_creation(
        self, tus: Tus
    ) -> None:
        part = await tus.part(b"hello")
        assert (await tus.create(5, upload_concat=f"final;{part}")).status_code == 400
        deferred = await tus.create(upload_defer_length=1, upload_concat=f"final;{part}")
        assert deferred.status_code == 400

    async def test_patch_against_a_final_upload_must_be_403_without_modifying_anything(
        self, tus: Tus
    ) -> None:
        part = await tus.part(b"hello")
        final = await tus.new(upload_concat=f"final;{part}")
        for offset in (0, 5):
            answer = await tus.patch(final, offset, b"x")
            assert (answer.status_code, code_of(answer)) == (403, "final-upload")
        assert await tus.content(final) == b"hello"
        assert await tus.offset(part) == 5

    async def test_a_final_upload_takes_no_bytes_at_its_creation(self, tus: Tus) -> None:
        part = await tus.part(b"hello")
        answer = await tus.create(content=b"x", upload_concat=f"final;{part}")
        assert (answer.status_code, code_of(answer)) == (403, "final-upload")

    async def test_metadata_of_parts_shall_not_be_transferred(self, newcomer: Tus) -> None:
        part = await newcomer.part(
            b"hello", upload_metadata=metadata(filename="part.bin", secret="x")
        )
        plain = await newcomer.new(upload_concat=f"final;{part}")
        assert "upload-metadata" not in (await newcomer.head(plain)).headers
        said = metadata(filename="whole.txt")
        named = await newcomer.new(upload_concat=f"final;{part}", upload_metadata=said)
        assert (await newcomer.head(named)).headers["upload-metadata"] == said
        assert [file["name"] for file in await newcomer.files()] == ["whole.txt", "file"]

    async def test_parts_may_be_used_multiple_times(self, tus: Tus) -> None:
        ab, cd = await tus.part(b"ab"), await tus.part(b"cd")
        first = await tus.new(upload_concat=f"final;{ab} {cd} {ab}")
        second = await tus.new(upload_concat=f"final;{cd} {ab}")
        assert await tus.content(first) == b"abcdab"
        assert await tus.content(second) == b"cdab"

    async def test_parts_are_not_processed_until_they_are_concatenated(self, newcomer: Tus) -> None:
        part = await newcomer.part(b"hello")
        assert await newcomer.files() == []
        answer = await newcomer.http.get(f"/v1/files/{part.rpartition('/')[2]}/content")
        assert answer.status_code == 404

    async def test_parts_that_are_not_complete_make_no_final_upload(self, tus: Tus) -> None:
        done, open_one = await tus.part(b"ab"), await tus.new(5, upload_concat="partial")
        answer = await tus.create(upload_concat=f"final;{done} {open_one}")
        assert (answer.status_code, code_of(answer)) == (409, "parts-unfinished")
        assert answer.json()["unfinished"] == [open_one]

    async def test_what_is_no_part_makes_no_final_upload(self, tus: Tus) -> None:
        whole = await tus.new(5, b"hello")
        assert (await tus.create(upload_concat=f"final;{whole}")).status_code in {404, 409, 422}
        assert (await tus.create(upload_concat=f"final;{NOBODYS}")).status_code == 404

    async def test_a_part_can_be_terminated(self, tus: Tus) -> None:
        part = await tus.part(b"hello")
        assert (await tus.ask("DELETE", part)).status_code == 204
        assert (await tus.create(upload_concat=f"final;{part}")).status_code in {404, 410}


class TestStrangers:
    """Only who began an upload may know of it (which the protocol leaves to the server)."""

    async def test_others_find_nothing_there(self, tus: Tus, stranger: Tus) -> None:
        url = await tus.new(10, b"hello", upload_metadata=metadata(filename="secret"))
        answers = [
            await stranger.head(url),
            await stranger.patch(url, 5, b"world"),
            await stranger.http.get(url),
            await stranger.ask("DELETE", url),
        ]
        assert {answer.status_code for answer in answers} == {404}
        assert not any("upload-offset" in answer.headers for answer in answers)
        assert await tus.offset(url) == 5

    async def test_others_make_nothing_of_ones_parts(self, tus: Tus, stranger: Tus) -> None:
        part = await tus.part(b"hello")
        assert (await stranger.create(upload_concat=f"final;{part}")).status_code == 404


class TestTheDocument:
    """GET of an upload: how far it is, in JSON."""

    async def test_it_tells_how_far_an_upload_is_and_what_became_of_it(self, tus: Tus) -> None:
        said = metadata(filename="a.txt", filetype="text/plain")
        url = await tus.new(11, b"hello", upload_metadata=said)
        answer = await tus.http.get(url)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        document = answer.json()
        assert document.pop("created_at") < document.pop("expires_at")
        assert document == {
            "id": url.rpartition("/")[2],
            "name": "a.txt",
            "mime": "text/plain",
            "size_bytes": 11,
            "stored_bytes": 5,
            "state": "receiving",
            "part": False,
            "file_id": None,
        }
        await tus.patch(url, 5, b" world")
        document = (await tus.http.get(url)).json()
        assert (document["state"], document["stored_bytes"]) == ("finished", 11)
        assert document["file_id"] == document["id"]
        assert document["expires_at"] is None

    async def test_a_part_is_held(self, tus: Tus) -> None:
        document = (await tus.http.get(await tus.part(b"hello"))).json()
        assert (document["state"], document["part"], document["file_id"]) == ("held", True, None)
