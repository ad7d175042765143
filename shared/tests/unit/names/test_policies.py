"""Policies as pydantic meets them."""

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, ValidationError

from sharezync_shared.names import characters, mentionable, policies
from sharezync_shared.names.policies import Policy


class Body(BaseModel):
    name: Annotated[str, policies.DISPLAY_NAME] = "x"
    text: Annotated[str, policies.MESSAGE] = ""
    key: Annotated[str | None, policies.KEY] = None


def test_a_name_is_cleaned_and_bounded() -> None:
    assert Body(name="  Bob\n\u202eAda\u200b ").name == "Bob Ada"
    assert Body(name="x" * 100 + " \n").name == "x" * 100
    with pytest.raises(ValidationError, match="at most 100"):
        Body(name="x" * 101)


@pytest.mark.parametrize("blank", ["\u200b", "\u3164", " \u2800 ", "\u202e"])
def test_a_name_that_nobody_sees_is_refused_in_plain_words(blank: str) -> None:
    with pytest.raises(ValidationError, match="At least 1 visible character"):
        Body(name=blank)


def test_a_name_may_not_grow_over_its_length_by_normalising() -> None:
    with pytest.raises(ValidationError, match="At most 100"):
        Body(name="\u0958" * 100)


def test_what_cannot_be_stored_is_refused() -> None:
    for text in ("a\0b", "a\ud800b"):
        with pytest.raises(ValidationError):
            Body(key=text)


def test_the_document_names_the_policy() -> None:
    fields = Body.model_json_schema()["properties"]
    assert fields["name"]["x-text-policy"] == "display-name"
    assert (fields["name"]["minLength"], fields["name"]["maxLength"]) == (1, 100)
    assert fields["text"]["x-text-policy"] == "message"


def test_the_most_bytes_follow_from_the_characters() -> None:
    assert policies.DISPLAY_NAME.max_bytes == 400
    assert policies.verbatim("token", None).max_bytes is None


def test_the_readme_tells_the_lengths_and_lines() -> None:
    table = Path(policies.__file__).with_name("README.md").read_text(encoding="utf-8")
    rows = {
        cells[1].strip(" `"): (cells[3].strip(), cells[4].strip())
        for line in table.splitlines()
        if len(cells := line.split("|")) == 8
    }
    shown = {each.name: each for each in vars(policies).values() if isinstance(each, Policy)}
    for name, policy in shown.items():
        if name == "query":
            continue  # kept nowhere
        lengths, lines = rows[name]
        assert lengths == f"{policy.min_characters}–{policy.max_characters}", name
        if policy.cleaned in {characters.one_line, characters.many_lines}:
            assert (lines == "many") == (policy.cleaned is characters.many_lines), name
    assert rows["username"][0] == f"3–{mentionable.MAX_CHARACTERS}; see below"
