"""Customers have enough to say, in every language, and no line is said twice too soon."""

import string

import pytest

from app.demo.people import CUSTOMERS, EVERYBODY, SPAMMERS
from app.demo.pictures import PICTURES, face, picture
from app.demo.voice import TOPICS, TURNS, languages, lines

RICH = {"en": 12, "de": 5, "es": 5, "fr": 5, "ja": 5}


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic != "spam"])
def test_each_topic_can_be_begun_in_each_language(language: str, topic: str) -> None:
    said = lines(language, topic)
    assert len(said) >= RICH.get(language, 3)
    assert len({line.text for line in said}) == len(said)


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("turn", TURNS)
def test_each_turn_can_be_taken_in_each_language(language: str, turn: str) -> None:
    assert lines(language, turn)


@pytest.mark.parametrize("language", languages())
def test_lines_name_nothing_but_the_order_and_describe_every_picture(language: str) -> None:
    for occasion in (*TOPICS, *TURNS):
        for line in lines(language, occasion):
            names = {name for _, name, _, _ in string.Formatter().parse(line.text) if name is not None}
            assert names <= {"order"}
            assert "NW-1" in line.text.format(order="NW-1") or not names
            assert not line.picture or (line.picture in PICTURES and line.alt)
            assert len(line.text) < 250


def test_about_sixty_people_speak_all_the_languages() -> None:
    assert len(CUSTOMERS) >= 55
    assert {one.language for one in CUSTOMERS} == set(languages())
    assert len(EVERYBODY) == len(CUSTOMERS) + len(SPAMMERS) + 1
    assert all(lines(one.language, "spam") for one in SPAMMERS)
    assert len({one.followers for one in CUSTOMERS}) > 50


def test_pictures_are_small_png_files_and_a_face_stays_the_same() -> None:
    for name in PICTURES:
        assert picture(name).startswith(b"\x89PNG")
        assert len(picture(name)) < 20_000
    assert face("ada") == face("ada") != face("bob")
    with pytest.raises(KeyError):
        picture("../ledger")
