"""The core of tus 1.0.0: each test is one rule of the specification, in its words.

Run over every place that speaks it: a test module gives a `tus` and imports the classes.
"""

from collections.abc import AsyncIterator

import pytest

from sharezync_testkit.tus.client import OFFSET_STREAM, UPLOADS, VERSION, Tus, code_of

NOBODYS = f"{UPLOADS}/01936f0c-2b7e-7d33-8a53-6d9f4c1e2b70"


class TestTheVersion:
    async def test_tus_resumable_is_in_every_response(self, tus: Tus) -> None:
        url = await tus.new(3)
        answers = [
            await tus.create(3),
            await tus.create(3, content=b"abc"),
            await tus.create(),
            await tus.head(url),
            await tus.head(NOBODYS),
            await tus.http.get(url),
            await tus.patch(url, 1, b"x"),
            await tus.patch(url, 0, b"abc"),
            await tus.ask("PUT", url),
            await tus.ask("POST", url),
            await tus.ask("HEAD", url, tus_resumable="0.2.2"),
            await tus.ask("HEAD", url, authorization="Bearer nonsense"),
            await tus.ask("DELETE", url),
            await tus.ask("DELETE", url),
        ]
        assert [answer.headers.get_list("tus-resumable") for answer in answers] == [
            [VERSION] for _ in answers
        ]

    @pytest.mark.parametrize("said", ["0.2.2", "2.0.0", "", "1.0.0, 0.2.2", None])
    async def test_if_the_version_is_not_supported_it_must_respond_with_412_and_tus_version(
        self, tus: Tus, said: str | None
    ) -> None:
        url = await tus.new(3)
        for answer in (
            await tus.patch(url, 0, b"abc", tus_resumable=said),
            await tus.create(3, tus_resumable=said),
            await tus.ask("DELETE", url, tus_resumable=said),
        ):
            assert (answer.status_code, code_of(answer)) == (412, "tus-version")
            assert answer.headers["tus-version"] == VERSION
        assert (await tus.ask("HEAD", url, tus_resumable=said)).status_code == 412

    async def test_the_server_must_not_process_a_request_of_another_version(
        self, newcomer: Tus
    ) -> None:
        url = await newcomer.new(3)
        before = await newcomer.usage()
        await newcomer.patch(url, 0, b"abc", tus_resumable="0.2.2")
        await newcomer.ask("DELETE", url, tus_resumable="0.2.2")
        await newcomer.create(3, tus_resumable="0.2.2")
        assert await newcomer.offset(url) == 0
        assert await newcomer.usage() == before


class TestOptions:
    @pytest.mark.parametrize("url", [UPLOADS, NOBODYS])
    async def test_a_successful_response_must_contain_tus_version(self, tus: Tus, url: str) -> None:
        answer = await tus.ask("OPTIONS", url, tus_resumable=None)
        assert answer.status_code in {200, 204}
        assert answer.headers["tus-version"].split(",") == [VERSION]
        assert not answer.content

    async def test_the_server_must_ignore_tus_resumable(self, tus: Tus) -> None:
        answer = await tus.ask("OPTIONS", tus_resumable="0.0.1")
        assert answer.status_code in {200, 204}

    async def test_tus_extension_is_a_comma_separated_list_of_the_extensions(
        self, tus: Tus
    ) -> None:
        answer = await tus.ask("OPTIONS", tus_resumable=None)
        assert set(answer.headers["tus-extension"].split(",")) == {
            "creation", "creation-with-upload", "creation-defer-length", "termination", "checksum",
            "expiration", "concatenation",
        }  # fmt: skip

    async def test_tus_max_size_is_a_non_negative_integer(self, tus: Tus) -> None:
        answer = await tus.ask("OPTIONS", tus_resumable=None)
        assert int(answer.headers["tus-max-size"]) > 0

    async def test_tus_checksum_algorithm_is_included_and_has_sha1(self, tus: Tus) -> None:
        answer = await tus.ask("OPTIONS", tus_resumable=None)
        algorithms = answer.headers["tus-checksum-algorithm"].split(",")
        assert "sha1" in algorithms
        assert all(name.isascii() and name == name.lower() for name in algorithms)

    async def test_it_is_answered_without_a_token(self, tus: Tus) -> None:
        del tus.http.headers["authorization"]
        answer = await tus.ask("OPTIONS", tus_resumable=None)
        assert answer.status_code in {200, 204}
        assert answer.headers["tus-version"] == VERSION


class TestTheMethodOverride:
    """X-HTTP-Method-Override MUST be interpreted as the method, the actual one ignored."""

    async def test_a_post_can_be_a_patch(self, tus: Tus) -> None:
        url = await tus.new(3)
        answer = await tus.ask(
            "POST", url, b"abc", x_http_method_override="PATCH", upload_offset=0,
            content_type=OFFSET_STREAM,
        )  # fmt: skip
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, "3")
        assert await tus.content(url) == b"abc"

    @pytest.mark.parametrize("actual", ["POST", "GET"])
    async def test_a_post_or_a_get_can_be_a_head(self, tus: Tus, actual: str) -> None:
        url = await tus.new(3)
        answer = await tus.ask(actual, url, x_http_method_override="HEAD")
        assert (answer.status_code, answer.headers["upload-offset"]) == (200, "0")
        assert not answer.content

    async def test_a_post_can_be_a_delete(self, tus: Tus) -> None:
        url = await tus.new(3)
        answer = await tus.ask("POST", url, x_http_method_override="DELETE")
        assert answer.status_code == 204
        assert (await tus.head(url)).status_code in {404, 410}

    async def test_the_actual_method_must_be_ignored(self, tus: Tus) -> None:
        url = await tus.new(3)
        answer = await tus.ask("DELETE", url, x_http_method_override="HEAD")
        assert answer.status_code == 200
        assert await tus.offset(url) == 0

    @pytest.mark.parametrize("said", ["BREW", "PUT"])
    async def test_a_method_that_is_not_known_is_refused(self, tus: Tus, said: str) -> None:
        url = await tus.new(3)
        answer = await tus.ask("POST", url, x_http_method_override=said)
        assert (answer.status_code, code_of(answer)) == (405, "method-not-allowed")

    async def test_it_opens_no_door_without_a_token(self, tus: Tus) -> None:
        url = await tus.new(3)
        authorization = tus.http.headers.pop("authorization")
        answer = await tus.ask("OPTIONS", url, x_http_method_override="DELETE")
        assert answer.status_code == 401
        tus.http.headers["authorization"] = authorization
        assert await tus.offset(url) == 0


class TestHead:
    async def test_upload_offset_is_always_included_even_if_it_is_0(self, tus: Tus) -> None:
        answer = await tus.head(await tus.new(3))
        assert (answer.status_code, answer.headers["upload-offset"]) == (200, "0")

    async def test_upload_offset_is_included_even_if_the_upload_is_completed(
        self, tus: Tus
    ) -> None:
        answer = await tus.head(await tus.new(3, b"abc"))
        assert answer.headers["upload-offset"] == answer.headers["upload-length"] == "3"

    async def test_if_the_size_is_known_upload_length_must_be_included(self, tus: Tus) -> None:
        assert (await tus.head(await tus.new(12345))).headers["upload-length"] == "12345"

    @pytest.mark.parametrize(
        "url", [NOBODYS, f"{UPLOADS}/a", f"{UPLOADS}/24e533e02ec3bc40c387f1a0e460e216"]
    )
    async def test_if_the_resource_is_not_found_there_is_no_upload_offset(
        self, tus: Tus, url: str
    ) -> None:
        answer = await tus.head(url)
        assert answer.status_code == 404
        assert "upload-offset" not in answer.headers

    async def test_the_response_must_not_be_cached(self, tus: Tus) -> None:
        answer = await tus.head(await tus.new(3))
        assert answer.headers["cache-control"] == "no-store"

    async def test_there_is_no_body(self, tus: Tus) -> None:
        assert not (await tus.head(NOBODYS)).content


class TestPatch:
    async def test_the_bytes_are_applied_at_the_offset(self, tus: Tus) -> None:
        url = await tus.new(11)
        assert (await tus.patch(url, 0, b"hello")).status_code == 204
        assert (await tus.patch(url, 5, b" world")).status_code == 204
        assert await tus.content(url) == b"hello world"

    async def test_success_is_204_with_the_new_offset_the_sum_of_both(self, tus: Tus) -> None:
        url = await tus.new(100)
        for offset in (0, 10, 20):
            answer = await tus.patch(url, offset, b"0123456789")
            assert answer.status_code == 204
            assert answer.headers["upload-offset"] == str(offset + 10)
            assert not answer.content
            assert await tus.offset(url) == offset + 10

    async def test_a_body_of_no_bytes_changes_nothing(self, tus: Tus) -> None:
        url = await tus.new(3)
        answer = await tus.patch(url, 0, b"")
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, "0")

    async def test_a_body_may_come_without_a_length(self, tus: Tus) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"hello"
            yield b" world"

        url = await tus.new(11)
        answer = await tus.patch(url, 0, pieces())
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, "11")

    @pytest.mark.parametrize("said", ["application/octet-stream", "text/plain", None])
    async def test_another_content_type_should_be_415(self, tus: Tus, said: str | None) -> None:
        url = await tus.new(3)
        answer = await tus.patch(url, 0, b"abc", content_type=said)
        assert (answer.status_code, code_of(answer)) == (415, "not-an-offset-stream")
        assert await tus.offset(url) == 0

    @pytest.mark.parametrize("offset", [0, 4, 6, 10, 10**15, 10**25])
    async def test_if_the_offsets_do_not_match_it_must_be_409_without_modifying_the_upload(
        self, tus: Tus, offset: int
    ) -> None:
        url = await tus.new(10, b"hello")
        answer = await tus.patch(url, offset, b"xyz")
        assert (answer.status_code, code_of(answer)) == (409, "offset-mismatch")
        assert answer.json()["offset"] == 5
        assert await tus.offset(url) == 5

    @pytest.mark.parametrize("offset", ["-1", "+0", "1.5", "0x0", "", "0,0", "nan", "1_0", None])
    async def test_an_offset_must_be_a_non_negative_integer(
        self, tus: Tus, offset: str | None
    ) -> None:
        url = await tus.new(3)
        answer = await tus.patch(url, None, b"abc", upload_offset=offset)
        assert answer.status_code == 400
        assert await tus.offset(url) == 0

    async def test_a_non_existent_resource_should_be_404(self, tus: Tus) -> None:
        answer = await tus.patch(NOBODYS, 0, b"abc")
        assert (answer.status_code, code_of(answer)) == (404, "not-found")
        assert "upload-offset" not in answer.headers

    async def test_more_than_the_length_is_refused(self, newcomer: Tus) -> None:
        url = await newcomer.new(3)
        answer = await newcomer.patch(url, 0, b"abcdef")
        assert answer.status_code in {413, 422}
        code_of(answer)
        assert (await newcomer.files()) == []

    async def test_as_much_as_possible_of_a_broken_body_should_be_stored(self, tus: Tus) -> None:
        content = bytes(range(256)) * 1000
        url = await tus.new(len(content))
        async with tus.patching(url, 0, len(content)) as wire:
            await wire.send(content[:100_001])
            wire.hang_up()
            await tus.stands_at(url, 100_001)
        assert (await tus.patch(url, 100_001, content[100_001:])).status_code == 204
        assert await tus.content(url) == content

    async def test_a_body_that_is_shorter_than_announced_by_a_few_bytes_counts_too(
        self, tus: Tus
    ) -> None:
        url = await tus.new(11)
        async with tus.patching(url, 0, 11) as wire:
            await wire.send(b"hello")
            wire.hang_up()
            await tus.stands_at(url, 5)
        assert (await tus.patch(url, 5, b" world")).status_code == 204
        assert await tus.content(url) == b"hello world"

    async def test_a_completed_upload_takes_nothing_more(self, tus: Tus) -> None:
        url = await tus.new(3, b"abc")
        assert (await tus.patch(url, 3, b"d")).status_code in {403, 409, 413, 422}
        assert (await tus.patch(url, 0, b"xyz")).status_code == 409
        assert await tus.content(url) == b"abc"
