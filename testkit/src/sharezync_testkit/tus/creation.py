"""Creation, with an upload and with a deferred length, and expiration: rules of tus 1.0.0."""

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

import pytest

from sharezync_testkit.tus.client import UPLOADS, Tus, code_of, metadata

FAR_TOO_MUCH = 10**15


class TestCreation:
    async def test_success_is_201_with_the_location(self, tus: Tus) -> None:
        answer = await tus.create(100)
        assert answer.status_code == 201
        assert (await tus.head(answer.headers["location"])).headers["upload-length"] == "100"

    async def test_the_location_is_relative(self, tus: Tus) -> None:
        """Behind a proxy nobody knows the scheme and the host: absolute ones are often wrong."""
        assert (await tus.new(100)).startswith(f"{UPLOADS}/")

    async def test_the_new_resource_has_an_implicit_offset_of_0(self, tus: Tus) -> None:
        assert await tus.offset(await tus.new(100)) == 0

    async def test_the_request_must_include_a_length_or_that_it_is_deferred(self, tus: Tus) -> None:
        assert (await tus.create()).status_code == 400
        assert (await tus.create(3, upload_defer_length=1)).status_code == 400

    @pytest.mark.parametrize("length", ["-1", "1.5", "abc", "", "1 2"])
    async def test_the_length_must_be_a_non_negative_integer(self, tus: Tus, length: str) -> None:
        answer = await tus.create(upload_length=length)
        assert (answer.status_code, code_of(answer)) == (400, "malformed")

    @pytest.mark.parametrize("length", [FAR_TOO_MUCH, 10**30])
    async def test_if_the_length_exceeds_the_maximum_it_must_be_413(
        self, tus: Tus, length: int
    ) -> None:
        answer = await tus.create(length)
        assert (answer.status_code, code_of(answer)) == (413, "file-too-large")

    async def test_one_more_than_tus_max_size_is_too_much(self, tus: Tus) -> None:
        limit = int((await tus.ask("OPTIONS")).headers["tus-max-size"])
        assert (await tus.create(limit + 1)).status_code == 413

    async def test_an_upload_of_no_bytes_is_completed_at_once(self, tus: Tus) -> None:
        url = await tus.new(0)
        answer = await tus.head(url)
        assert answer.headers["upload-offset"] == answer.headers["upload-length"] == "0"
        assert await tus.content(url) == b""

    async def test_it_becomes_a_file_with_its_name_and_type(self, newcomer: Tus) -> None:
        said = metadata(filename="Ferien/Köln.png", filetype="image/png")
        url = await newcomer.new(3, b"abc", upload_metadata=said)
        [file] = await newcomer.files()
        assert file["id"] == url.rpartition("/")[2]
        assert (file["name"], file["mime"], file["size_bytes"]) == ("Köln.png", "image/png", 3)
        assert file["sha256"] is not None

    async def test_other_names_of_name_and_type_are_understood(self, newcomer: Tus) -> None:
        await newcomer.new(1, b"a", upload_metadata=metadata(name="a.txt", type="text/plain"))
        await newcomer.new(1, b"a", upload_metadata=metadata(name="b.txt", mime="text/html"))
        files = [(file["name"], file["mime"]) for file in await newcomer.files()]
        assert files == [("b.txt", "text/html"), ("a.txt", "text/plain")]


class TestTheMetadata:
    @pytest.mark.parametrize(
        "said",
        [
            "filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential",
            "is_confidential",
            "empty ,other YQ==",
            "a YQ==, b Yg==",
            "binary AAECAwD/",
            "x-y:z!~ YQ==",
        ],
    )
    async def test_head_must_include_it_as_specified_during_the_creation(
        self, tus: Tus, said: str
    ) -> None:
        url = await tus.new(3, upload_metadata=said)
        assert (await tus.head(url)).headers["upload-metadata"] == said
        await tus.patch(url, 0, b"abc")
        assert (await tus.head(url)).headers["upload-metadata"] == said

    async def test_none_is_told_where_none_was_given(self, tus: Tus) -> None:
        assert "upload-metadata" not in (await tus.head(await tus.new(3))).headers
        empty = await tus.new(3, upload_metadata="")
        assert "upload-metadata" not in (await tus.head(empty)).headers

    @pytest.mark.parametrize(
        "said",
        [
            "filename !!!!",
            "filename YQ",
            "filename YQ== YQ==",
            "a YQ==,a Yg==",
            ",",
            "a YQ==,,b Yg==",
            "a\tb YQ==",
        ],
    )
    async def test_what_breaks_its_rules_is_refused(self, tus: Tus, said: str) -> None:
        answer = await tus.create(3, upload_metadata=said)
        assert (answer.status_code, code_of(answer)) == (400, "malformed")


class TestDeferredLength:
    async def test_as_long_as_the_length_is_not_known_head_must_say_so(self, tus: Tus) -> None:
        url = await tus.new(upload_defer_length=1)
        for offset in (0, 3):
            answer = await tus.head(url)
            assert answer.headers["upload-defer-length"] == "1"
            assert answer.headers["upload-offset"] == str(offset)
            assert "upload-length" not in answer.headers
            await tus.patch(url, offset, b"abc")

    async def test_if_the_length_is_not_deferred_the_header_must_be_omitted(self, tus: Tus) -> None:
        assert "upload-defer-length" not in (await tus.head(await tus.new(3))).headers

    @pytest.mark.parametrize("said", ["0", "2", "true", ""])
    async def test_any_other_value_than_1_should_be_400(self, tus: Tus, said: str) -> None:
        answer = await tus.create(upload_defer_length=said)
        assert (answer.status_code, code_of(answer)) == (400, "malformed")

    async def test_the_length_is_set_by_a_later_patch(self, tus: Tus) -> None:
        url = await tus.new(upload_defer_length=1)
        await tus.patch(url, 0, b"hello")
        answer = await tus.patch(url, 5, b" wor", upload_length=11)
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, "9")
        known = await tus.head(url)
        assert known.headers["upload-length"] == "11"
        assert "upload-defer-length" not in known.headers
        await tus.patch(url, 9, b"ld")
        assert await tus.content(url) == b"hello world"

    async def test_the_last_patch_may_tell_the_length_with_no_bytes_left(self, tus: Tus) -> None:
        url = await tus.new(upload_defer_length=1)
        await tus.patch(url, 0, b"hello")
        assert (await tus.patch(url, 5, b"", upload_length=5)).status_code == 204
        assert await tus.content(url) == b"hello"

    async def test_a_length_of_0_is_a_known_length(self, tus: Tus) -> None:
        url = await tus.new(upload_defer_length=1)
        assert (await tus.patch(url, 0, b"", upload_length=0)).status_code == 204
        assert (await tus.head(url)).headers["upload-length"] == "0"
        assert await tus.content(url) == b""

    @pytest.mark.parametrize("length", [10, 12, 5])
    async def test_once_set_the_length_must_not_be_changed(self, tus: Tus, length: int) -> None:
        url = await tus.new(upload_defer_length=1)
        await tus.patch(url, 0, b"hello", upload_length=11)
        answer = await tus.patch(url, 5, b"", upload_length=length)
        assert (answer.status_code, code_of(answer)) == (422, "upload-length-conflict")
        assert (await tus.head(url)).headers["upload-length"] == "11"
        assert (await tus.patch(url, 5, b" world", upload_length=11)).status_code == 204

    async def test_the_length_can_not_be_less_than_what_is_there(self, tus: Tus) -> None:
        url = await tus.new(upload_defer_length=1)
        await tus.patch(url, 0, b"hello")
        answer = await tus.patch(url, 5, b"", upload_length=4)
        assert (answer.status_code, code_of(answer)) == (422, "upload-length-conflict")
        assert (await tus.head(url)).headers["upload-defer-length"] == "1"

    async def test_a_length_that_is_told_late_has_the_same_limit(self, tus: Tus) -> None:
        url = await tus.new(upload_defer_length=1)
        answer = await tus.patch(url, 0, b"x", upload_length=FAR_TOO_MUCH)
        assert (answer.status_code, code_of(answer)) == (413, "file-too-large")
        assert (await tus.head(url)).headers["upload-defer-length"] == "1"


class TestCreationWithUpload:
    async def test_the_response_must_include_the_offset_after_the_accepted_bytes(
        self, tus: Tus
    ) -> None:
        answer = await tus.create(100, b"hello")
        assert (answer.status_code, answer.headers["upload-offset"]) == (201, "5")
        assert await tus.offset(answer.headers["location"]) == 5

    async def test_the_entirety_may_be_included(self, tus: Tus) -> None:
        answer = await tus.create(5, b"hello")
        assert (answer.status_code, answer.headers["upload-offset"]) == (201, "5")
        assert await tus.content(answer.headers["location"]) == b"hello"

    async def test_it_goes_with_a_deferred_length(self, tus: Tus) -> None:
        answer = await tus.create(content=b"hello", upload_defer_length=1)
        assert (answer.status_code, answer.headers["upload-offset"]) == (201, "5")

    async def test_the_client_must_include_the_content_type(self, tus: Tus) -> None:
        answer = await tus.create(5, b"hello", content_type="text/plain")
        assert (answer.status_code, code_of(answer)) == (415, "not-an-offset-stream")

    async def test_what_is_refused_was_never_begun(self, newcomer: Tus) -> None:
        before = await newcomer.usage()
        answer = await newcomer.create(3, b"hello")
        assert answer.status_code in {413, 422}
        wrong = await newcomer.create(
            5, b"hello", upload_checksum="sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA="
        )
        assert (wrong.status_code, code_of(wrong)) == (460, "checksum-mismatch")
        assert await newcomer.usage() == before

    async def test_expect_100_continue_gives_early_feedback(self, tus: Tus) -> None:
        said = {
            "content_type": "application/offset+octet-stream",
            "content_length": 5,
            "expect": "100-continue",
        }
        async with tus.wire("POST", UPLOADS, upload_length=5, **said) as wire:
            assert await wire.status() == 100
            await wire.send(b"hello")
            assert await wire.status() == 201
        async with tus.wire("POST", UPLOADS, upload_length=FAR_TOO_MUCH, **said) as wire:
            assert await wire.status() == 413


class TestExpiration:
    async def test_upload_expires_must_be_in_every_patch_response_and_that_of_creation(
        self, tus: Tus
    ) -> None:
        created = await tus.create(6)
        url = created.headers["location"]
        patched = [await tus.patch(url, 0, b"ab"), await tus.patch(url, 2, b"cd")]
        for answer in (created, *patched, await tus.head(url)):
            assert parsedate_to_datetime(answer.headers["upload-expires"]) > datetime.now(UTC)

    async def test_it_must_be_in_the_datetime_format_of_http(self, tus: Tus) -> None:
        said = (await tus.create(6)).headers["upload-expires"]
        assert said == format_datetime(parsedate_to_datetime(said), usegmt=True)

    async def test_what_is_completed_does_not_expire(self, tus: Tus) -> None:
        url = await tus.new(6)
        assert "upload-expires" not in (await tus.patch(url, 0, b"abcdef")).headers
        assert "upload-expires" not in (await tus.head(url)).headers
