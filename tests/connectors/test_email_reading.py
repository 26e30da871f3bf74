"""Odd mails: what becomes of them, whatever wrote them."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from app.connectors.base import IncomingPost, PostKind
from app.connectors.mail_read import read_mail

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
OURS = frozenset({"care@brand.test"})
PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)


def read(source: str | bytes, **more: Any) -> IncomingPost:
    raw = source.encode() if isinstance(source, str) else source
    return read_mail(raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), NOW, OURS, **more)


def mail(body: str = "Hello", **headers: str) -> str:
    given = {"From": "Ann <ann@cust.test>", "To": "care@brand.test", "Message-ID": "<1@cust.test>"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return "".join(f"{name}: {value}\n" for name, value in given.items() if value) + f"\n{body}\n"


MIXED = """\
From: Ann <ann@cust.test>
To: care@brand.test
Message-ID: <2@cust.test>
Content-Type: multipart/mixed; boundary=a

--a
Content-Type: multipart/related; boundary=b

--b
Content-Type: multipart/alternative; boundary=c

--c
Content-Type: text/plain; charset=utf-8

See the picture.
--c
Content-Type: text/html; charset=utf-8

<p>See the <b>picture</b>.</p>
--c--
--b
Content-Type: image/png
Content-ID: <pic>
Content-Transfer-Encoding: base64
Content-Disposition: inline; filename*0*=UTF-8''t%C3%A4nt; filename*1=-torn.png
Content-Description: The torn seam

{png}
--b--
--a
Content-Type: application/pdf; name="=?utf-8?Q?Rechnung_M=C3=A4rz.pdf?="
Content-Disposition: attachment

%PDF
--a
Content-Type: text/calendar; method=REQUEST

BEGIN:VCALENDAR
END:VCALENDAR
--a
Content-Type: message/rfc822

From: shop@brand.test
Subject: Your order

It is on its way.
--a--
""".replace("{png}", base64.b64encode(PNG).decode())


def test_nested_parts_give_text_html_and_files_with_their_names() -> None:
    post = read(MIXED)
    assert post.text == "See the picture."
    assert "<b>picture</b>" in (post.html or "")
    assert [(one.kind, one.title) for one in post.media] == [
        ("image", "tänt-torn.png"),
        ("file", "Rechnung März.pdf"),
        ("file", "invitation.ics"),
        ("file", "Your order.eml"),
    ]
    assert post.media[0].content == PNG
    assert post.media[0].description == "The torn seam"


def test_a_mail_of_html_alone_is_read_as_its_words() -> None:
    post = read(mail("<p>Where is <i>it</i>?</p><script>alert(1)</script>", Content_Type="text/html"))
    assert post.text == "Where is it?"


@pytest.mark.parametrize(
    ("charset", "raw", "said"),
    [
        ("iso-8859-1", "Grüße, „heute“".encode("cp1252"), "Grüße, „heute“"),
        ("gb2312", "帐篷破了 囍".encode("gb18030"), "帐篷破了 囍"),
        ("ks_c_5601-1987", "텐트가 찢어졌어요".encode("cp949"), "텐트가 찢어졌어요"),
        ("iso-2022-jp", "注文".encode("iso2022_jp"), "注文"),
        ("us-ascii", "naïve".encode(), "naïve"),
        ("x-made-up", b"plain", "plain"),
        ("rot13", b"plain", "plain"),
        ("utf-8", b"caf\xe9", "café"),
    ],
)
def test_a_charset_that_lies_or_nobody_knows_still_gives_words(charset: str, raw: bytes, said: str) -> None:
    head = mail("", Content_Type=f"text/plain; charset={charset}", Content_Transfer_Encoding="8bit").rstrip("\n")
    assert read(head.encode() + b"\n\n" + raw).text.replace("\ufffd", "é") == said


def test_names_and_subjects_are_decoded_whether_coded_raw_or_broken() -> None:
    assert read(mail(Subject="=?utf-8?B?VMOkbnQ=?= =?iso-8859-1?Q?_f=FCr_zwei?=")).title == "Tänt für zwei"
    assert read(mail(Subject="Zelt für zwei")).title == "Zelt für zwei"
    assert read(mail(Subject="=?utf-8?B?###?=")).title
    assert read(mail(From='"=?utf-8?Q?Ann, M=C3=BCller?=" <ann@cust.test>')).author.name == "Ann, Müller"


def test_a_mail_without_id_is_the_same_in_every_mailbox() -> None:
    one = read("Received: from a\n" + mail(Message_ID=""))
    other = read("Received: from b\nX-Spam: 1\n" + mail(Message_ID=""))
    assert one.external_id == other.external_id
    assert one.external_id != read(mail("Something else", Message_ID="")).external_id


def test_a_mail_from_nobody_cannot_be_read() -> None:
    with pytest.raises(ValueError, match="sender"):
        read("Subject: hi\n\nHello")


def test_a_thousand_nested_parts_do_not_break_the_reader() -> None:
    source = mail().partition("\n\n")[0]
    for depth in range(2000):
        source += f"\nContent-Type: multipart/mixed; boundary=b{depth}\n\n--b{depth}"
    try:
        post = read(source + "\n\nDeep.")
    except ValueError as error:
        assert "nested" in str(error)  # noqa: PT017 - either is fine, as long as nothing else comes of it
    else:
        assert post.author.external_id == "ann@cust.test"


def test_huge_headers_are_cut() -> None:
    post = read(mail(Subject="x" * 1_000_000, References=" ".join(f"<{n}@cust.test>" for n in range(20_000))))
    assert len(post.title) <= 1000
    assert len(post.above) < 100
    assert len(str(post.payload)) < 300_000


def test_more_files_than_anybody_reads_are_not_all_kept() -> None:
    parts = "".join(f"--a\nContent-Disposition: attachment; filename=f{n}\n\nx\n" for n in range(100))
    post = read(mail(parts + "--a--", Content_Type="multipart/mixed; boundary=a"))
    assert len(post.media) == 20


def test_a_file_that_is_too_large_is_named_and_not_kept() -> None:
    part = "--a\nContent-Disposition: attachment; filename=film.mp4\n\n" + "x" * 20_000_001 + "\n--a--"
    [medium] = read(mail(part, Content_Type="multipart/mixed; boundary=a")).media
    assert (medium.title, medium.content) == ("film.mp4", None)


def test_a_name_that_leads_elsewhere_is_only_a_name() -> None:
    part = '--a\nContent-Disposition: attachment; filename="../../etc/passwd"\n\nx\n--a--'
    [medium] = read(mail(part, Content_Type="multipart/mixed; boundary=a")).media
    assert medium.title == "passwd"


def test_a_picture_by_name_alone_is_a_file() -> None:
    part = "--a\nContent-Type: image/png; name=a.png\n\n<svg onload=alert(1)>\n--a--"
    [medium] = read(mail(part, Content_Type="multipart/mixed; boundary=a")).media
    assert medium.kind == "file"


@pytest.mark.parametrize(
    "kind", ["application/pkcs7-mime; smime-type=enveloped-data", "multipart/encrypted; boundary=a"]
)
def test_an_encrypted_mail_says_that_it_is(kind: str) -> None:
    body = "--a\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--a\nContent-Type: application/octet-stream\n\nx\n--a--"
    assert "encrypted" in read(mail(body, Content_Type=kind)).text


def test_a_signed_mail_is_read_and_its_signature_is_no_file() -> None:
    body = "--a\n\nSigned words\n--a\nContent-Type: application/pgp-signature; name=s.asc\n\nx\n--a--"
    post = read(mail(body, Content_Type="multipart/signed; boundary=a; protocol=application/pgp-signature"))
    assert (post.text, post.media) == ("Signed words", ())


def test_lines_broken_for_the_way_are_whole_again() -> None:
    post = read(mail("This is one \nline.\n> quoted \n> stays\n-- \nAnn", Content_Type="text/plain; format=flowed"))
    assert post.text == "This is one line.\n> quoted \n> stays\n-- \nAnn"


BOUNCE = """\
From: Mail Delivery Subsystem <MAILER-DAEMON@mx.brand.test>
To: care@brand.test
Message-ID: <b1@mx.brand.test>
Auto-Submitted: auto-replied
Content-Type: multipart/report; report-type=delivery-status; boundary=a

--a

Your message could not be delivered.
--a
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.brand.test

Final-Recipient: rfc822; ann@cust.test
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 <ann@cust.test>: mailbox unavailable

--a
Content-Type: message/rfc822

From: care@brand.test
Message-ID: <our-reply@brand.test>
Subject: Re: My order

We are on it.
--a--
"""


def test_a_bounce_is_a_notice_in_the_servers_own_words_about_the_mail_that_came_back() -> None:
    post = read(BOUNCE)
    assert post.kind is PostKind.NOTICE
    assert post.in_reply_to == "our-reply@brand.test"
    assert post.text.startswith("ann@cust.test: 550 5.1.1 <ann@cust.test>: mailbox unavailable")


def test_a_bounce_that_brings_only_the_headers_is_understood() -> None:
    short = BOUNCE.replace("message/rfc822", "text/rfc822-headers").replace("\nWe are on it.", "")
    assert read(short).in_reply_to == "our-reply@brand.test"


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-replied (vacation)"},
        {"Auto_Submitted": "auto-generated"},
        {"Precedence": "bulk"},
        {"Precedence": "auto_reply"},
        {"X_Autoreply": "yes"},
        {"Return_Path": "<>"},
        {"X_Failed_Recipients": "ann@cust.test"},
        {"Content_Type": "multipart/report; report-type=disposition-notification; boundary=a"},
    ],
)
def test_what_a_machine_sends_by_itself_is_a_notice(headers: dict[str, str]) -> None:
    assert read(mail(**headers)).kind is PostKind.NOTICE


@pytest.mark.parametrize("headers", [{"Auto_Submitted": "no"}, {"Precedence": "list", "List_Id": "<l.test>"}, {}])
def test_what_a_person_wrote_is_none(headers: dict[str, str]) -> None:
    post = read(mail(**headers))
    assert post.kind is PostKind.DIRECT
    assert post.ref["listed"] == ("Precedence" in headers)


def test_a_mail_that_claims_to_be_from_us_is_never_our_own() -> None:
    post = read(mail(From="Brand Care <care@brand.test>"))
    assert not post.own
    assert not post.vouched


def test_a_sender_whom_our_server_found_forged_is_somebody_else() -> None:
    forged = "Authentication-Results: mx.brand.test; dmarc=fail header.from=cust.test\n"
    old = "Authentication-Results: mx.brand.test; dmarc=pass header.from=cust.test\n"
    assert read(forged + old + mail(), authserv="mx.brand.test").author.external_id == "unproven:ann@cust.test"
    assert read(old + mail(), authserv="mx.brand.test").author.external_id == "ann@cust.test"
    assert (
        read(forged.replace("mx.brand", "mx.evil") + mail(), authserv="mx.brand.test").author.handle == "ann@cust.test"
    )


def test_a_reply_goes_to_where_the_mail_asks_for_it_and_never_to_us() -> None:
    assert read(mail(Reply_To="Ann <ann@home.test>")).ref["to"] == "ann@home.test"
    assert read(mail(Reply_To="care@brand.test")).ref["to"] == "ann@cust.test"
