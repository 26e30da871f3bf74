"""What is heard in a post: the specification of app/listening, by examples of our own."""

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from app.listening.alike import alike, keys, shingles
from app.listening.heard import Heard, Said, Tuning, hear
from app.listening.language import UNKNOWN, language, spoken
from app.listening.mood import CALM, FURIOUS, UPSET
from app.listening.personal import masked, personal
from app.listening.phrases import lexicon, read
from app.listening.plain import plain


def one(text: str, **told: object) -> Heard:
    return hear([Said(text)], Tuning(**told))[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Where is my parcel?", "en"),
        ("Wo bleibt mein Paket?", "de"),
        ("danke", "de"),
        ("¿Dónde está mi pedido?", "es"),
        ("Où est ma commande ?", "fr"),
        ("Cadê meu pedido?", "pt"),
        ("荷物が届きません", "ja"),
        ("我的订单在哪里", "zh"),
        ("متى يصل طلبي؟", "ar"),
        ("배송이 안 와요", "ko"),
        ("Still waiting", "en"),
        ("@Northwind #fail Wo bleibt mein Paket? https://example.org/the/order", "de"),
    ],
)
def test_the_language_of_short_posts(text: str, code: str) -> None:
    assert language(text).code == code


@pytest.mark.parametrize("text", ["", "ok lol", "@northwind", "https://example.org/a-b-c", "😡😡😡", "12345", "A1"])
def test_what_is_in_no_language_is_told_so(text: str) -> None:
    assert language(text).code == UNKNOWN


def test_a_mixed_post_has_a_second_language() -> None:
    found = language("Mein Flug got cancelled, what the hell, ich warte seit drei Stunden")
    assert {found.code, found.also} == {"de", "en"}


def test_a_claimed_language_stands_where_nothing_surer_was_heard() -> None:
    assert spoken("fr", language("ok")) == "fr"
    assert spoken("pt-BR", language("Onde está o meu pedido? Estou esperando há dias")) == "pt-BR"
    assert spoken("en", language("Wo bleibt mein Paket? Ich warte seit drei Wochen")) == "de"
    assert spoken("de", language("My tent arrived torn")) == "de"  # few words: the channel may know better
    assert spoken(None, language("12345")) is None


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("Any resellers in Missouri?", "buy"),
        ("Wo kann ich das große Zelt kaufen?", "buy"),
        ("¿Cuánto cuesta la tienda grande?", "buy"),
        ("テントはどこで買えますか", "buy"),
        ("I am switching to another provider, close my account", "leave"),
        ("Ich kündige, das war das letzte Mal bei euch", "leave"),
        ("もう解約します", "leave"),
        ("My order never arrived and nobody answers", "complaint"),
        ("Meine Rechnung ist falsch, ihr habt doppelt abgebucht", "complaint"),
        ("Me cobraron dos veces y nadie responde", "complaint"),
        ("Toujours pas de réponse, c'est inadmissible", "complaint"),
        ("荷物がまだ届きません。対応が悪いです", "complaint"),
        ("لم يصل طلبي منذ أسبوع", "complaint"),
        ("Please call me back about my booking", "request"),
        ("Könnt ihr mir bitte eine neue Rechnung schicken", "request"),
        ("How long does delivery take?", "question"),
        ("Wie lange dauert die Lieferung?", "question"),
        ("Thank you so much, great service!", "praise"),
        ("Vielen Dank für die schnelle Hilfe, super Service", "praise"),
        ("ありがとうございます、最高です", "praise"),
        ("It would be nice if the app had a dark mode", "feedback"),
        ("Watching the game with my brother", ""),
    ],
)
def test_what_people_want(text: str, intent: str) -> None:
    assert one(text).intent == intent


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Is your site down? I cannot log in", "outage"),
        ("Eure Seite ist seit Stunden nicht erreichbar", "outage"),
        ("サーバー落ちてる\uff1f", "outage"),
        ("التطبيق لا يعمل، هل أحد غيري؟", "outage"),
        ("Somebody hacked my account and I see another customer's data", "security"),
        ("Der Akku hat Feuer gefangen", "danger"),
        ("La ville est inondée, évacuation en cours", "disaster"),
        ("My lawyer will sue you", "legal"),
        ("Ich will nicht mehr leben", "self_harm"),
        ("死にたい", "self_harm"),
        ("I'm a reporter at the Gazette, request for comment by 5pm", "press"),
    ],
)
def test_what_is_urgent(text: str, kind: str) -> None:
    assert kind in one(text).urgent


@pytest.mark.parametrize(
    "text", ["Thank you so much!", "How do I change the size of my order?", "Der Tee ist fein und hell", "Good crew"]
)
def test_what_is_not_urgent(text: str) -> None:
    assert one(text).urgent == ()


def test_a_negation_turns_praise_round() -> None:
    assert one("The staff was helpful and nice").mood > 0 > one("The staff was not helpful and not nice").mood
    assert one("Der Service ist gut").mood > 0 > one("Der Service ist nicht gut").mood


def test_thanks_for_nothing_are_no_thanks() -> None:
    for text in ("Thanks for nothing", "Danke für nichts", "Gracias por nada", "Merci pour rien"):
        assert one(text).mood < 0


def test_praise_beside_a_grievance_and_a_mark_of_irony_is_not_meant() -> None:
    assert one("Great, my flight got cancelled again /s").mood < 0
    assert one("Love sitting on hold for hours 🙄").mood < 0


@pytest.mark.parametrize(
    ("text", "upset"),
    [
        ("Thank you so much, wonderful!", CALM),
        ("When does the shop open?", CALM),
        ("Worst service ever, you ruined my holiday and nobody answers", UPSET),
        ("WORST SERVICE EVER, you ruined my holiday!!! 😡", FURIOUS),
        ("最悪です、二度と買いません\uff01\uff01", FURIOUS),
    ],
)
def test_how_upset_people_are(text: str, upset: int) -> None:
    assert one(text).upset == upset


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Earn $500 daily with bitcoin trading, DM me on whatsapp https://x.example", "spam"),
        ("We are hiring! Full time, apply now https://jobs.example", "job"),
        ("RT to win a tent! Follow and retweet, winner announced Sunday", "giveaway"),
        ("Breaking: shares of Northwind fall after quarterly results, read more https://n.example", "syndicated"),
        ("My tent arrived torn, please send another", ""),
        ("Do you ship to Spain? I want to buy now", ""),
    ],
)
def test_what_is_noise(text: str, kind: str) -> None:
    assert one(text).noise == kind


def test_others_of_our_name_are_known_by_the_words_that_an_admin_gave() -> None:
    assert one("The band Northwind plays tonight", namesakes=("band",)).noise == "namesake"
    assert one("The band of my watch broke, Northwind", namesakes=("rock band",)).noise == ""


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("4111 1111 1111 1111", ["card"]),
        ("my card 5500-0000-0000-0004 was charged", ["card"]),
        ("4111 1111 1111 1112", []),  # its sum is wrong
        ("DE89 3704 0044 0532 0130 00", ["iban"]),
        ("DE89 3704 0044 0532 0130 01", []),
        ("write to ann.b@example.org", ["mail"]),
        ("call +49 30 1234567", ["phone"]),
        ("my number is 555-123-4567", ["phone"]),
        ("on 2026-11-22 at 10:30 I paid $1,200.50", []),
        ("flight 1234 of 22.11.2026", []),
        ("@northwind help", []),
        ("order NW-123456", ["order"]),
    ],
)
def test_personal_data(text: str, kinds: list[str]) -> None:
    assert [found.kind for found in personal(text, re2.compile(r"NW-\d{6}"))] == kinds


def test_a_mask_leaves_the_length_and_the_end() -> None:
    said = "card 4111 1111 1111 1111, ann@example.org"
    assert masked(said) == "card •••• •••• •••• 1111, a••@example.org"
    assert masked(said, only=frozenset({"mail"})) == "card 4111 1111 1111 1111, a••@example.org"


def test_alike_texts_share_a_key_and_others_do_not() -> None:
    first = "Everybody should know that Northwind lost the data of all its customers last night"
    other = "Everyone should know that Northwind lost the data of all its customers last night!!"
    strange = "My tent arrived torn and nobody answers, please send me another one before Friday"
    assert set(keys(plain(first))) & set(keys(plain(other)))
    assert alike(shingles(plain(first)), shingles(plain(other)))
    assert not alike(shingles(plain(first)), shingles(plain(strange)))
    assert keys(plain("Thank you!")) == ()


def test_texts_without_spaces_are_compared_too() -> None:
    first, other = "昨日注文したテントがまだ届きません。助けて", "昨日注文したテントがまだ届きません。助けてください"
    assert alike(shingles(plain(first)), shingles(plain(other)))


@pytest.mark.parametrize("name", ["intent", "mood", "noise", "urgent"])
def test_every_phrase_of_a_lexicon_finds_itself(name: str) -> None:
    simple = [one for one in read(name) if not set("()|*.?") & set(one.text) and one.kind not in {"not", "very"}]
    words = lexicon("intent") if name == "mood" else lexicon(name)
    assert words.find(" ") == []
    if name != "mood":
        missed = [one.text for one in simple if one not in words.find(plain(one.text).line)]
        assert missed == []


@given(st.text(max_size=300))
def test_nothing_that_people_type_makes_listening_fail(text: str) -> None:
    found = one(text)
    assert -100 <= found.mood <= 100
    assert len(masked(text)) == len(text)
