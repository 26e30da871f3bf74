"""Settings models as forms and back."""

from enum import StrEnum
from typing import Literal

import pytest
from pydantic import AnyUrl, Field, SecretStr, field_validator

from app.connectors import forms
from app.connectors.base import SettingsModel
from app.errors import Invalid


class Source(StrEnum):
    MENTIONS = "mentions"
    HASH_TAG = "hash_tag"


class Whole(SettingsModel):
    server: AnyUrl = Field(title="Server", description="Where you sign in", examples=["https://social.example"])
    token: SecretStr = Field(title="Access token")
    source: Source = Source.MENTIONS
    pages: int = Field(default=3, ge=1, le=10, title="Pages a fetch")
    include_reposts: bool = False
    words: tuple[str, ...] = ()
    mood: Literal["calm", "loud"] = "calm"
    note: str | None = None
    link: str = Field(default="", json_schema_extra={"format": "url"})
    api_key: str = Field(default="", json_schema_extra={"secret": True})

    @field_validator("note")
    @classmethod
    def no_shouting(cls, note: str | None) -> str | None:
        if note and note.isupper():
            raise ValueError("please do not shout")
        return note


FILLED = {"server": "https://social.example", "token": "hush"}


def test_a_field_is_of_the_kind_of_its_type() -> None:
    kinds = {one.name: one.kind for one in forms.fields(Whole)}
    assert kinds == {
        "server": "url",
        "token": "password",
        "source": "choice",
        "pages": "number",
        "include_reposts": "checkbox",
        "words": "lines",
        "mood": "choice",
        "note": "text",
        "link": "url",
        "api_key": "password",
    }


def test_a_field_carries_its_words_bounds_and_example() -> None:
    one = {f.name: f for f in forms.fields(Whole)}
    assert (one["server"].label, one["server"].help) == ("Server", "Where you sign in")
    assert one["server"].required
    assert one["server"].example == "https://social.example"
    assert (one["pages"].min, one["pages"].max, one["pages"].default) == (1, 10, "3")
    assert one["source"].choices == (("mentions", "Mentions"), ("hash_tag", "Hash tag"))
    assert one["source"].default == "mentions"
    assert one["include_reposts"].label == "Include reposts"
    assert not one["note"].required


def test_a_filled_form_becomes_the_model() -> None:
    form = FILLED | {
        "pages": "5",
        "include_reposts": "on",
        "words": "late\n\n lost \n",
        "csrf": "x",
        "source": "hash_tag",
    }
    made = forms.read(Whole, form)
    assert made.pages == 5
    assert made.include_reposts
    assert made.words == ("late", "lost")
    assert made.source is Source.HASH_TAG
    assert made.note is None


def test_a_checkbox_left_out_is_off() -> None:
    assert not forms.read(Whole, FILLED).include_reposts


def test_a_password_left_empty_keeps_the_stored_one() -> None:
    stored = forms.read(Whole, FILLED)
    changed = forms.read(Whole, {"server": "https://other.example", "token": ""}, kept=stored)
    assert changed.token.get_secret_value() == "hush"


def test_a_form_never_shows_a_password() -> None:
    stored = forms.read(Whole, FILLED | {"api_key": "hush hush", "words": "a\nb"})
    shown = forms.shown(stored)
    assert shown["token"] == ""
    assert shown["api_key"] == ""
    assert shown["words"] == "a\nb"
    assert shown["source"] == "mentions"


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"server": ""}, "server", "Server: This is needed"),
        ({"server": "not an address"}, "server", "Server: "),
        ({"pages": "11"}, "pages", "Pages a fetch: "),
        ({"pages": "many"}, "pages", "Pages a fetch: "),
        ({"source": "telepathy"}, "source", "Source: "),
        ({"note": "WHY"}, "note", "Note: please do not shout"),
    ],
)
def test_a_bad_value_names_its_field_and_why(change: dict[str, str], field: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        forms.read(Whole, FILLED | change)
    assert caught.value.field == field
    assert caught.value.message.startswith(words)


def test_a_refused_value_is_not_repeated_in_the_message() -> None:
    with pytest.raises(Invalid) as caught:
        forms.check(Whole, FILLED | {"token": ["my secret"]})
    assert "my secret" not in caught.value.message


def test_a_type_that_no_form_can_show_is_a_bug() -> None:
    class Odd(SettingsModel):
        table: dict[str, int] = Field(default_factory=dict)

    with pytest.raises(TypeError, match="table"):
        forms.fields(Odd)
