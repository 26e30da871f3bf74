"""A mailbox with its IMAP and SMTP servers, in this process: each connection is a pair of sockets.

The servers speak the parts of RFC 3501 and 5321 that a mail program uses, and refuse as dovecot, Gmail and Exchange do:
`NO [LIMIT]`, `BYE`, 421, 535, 550. What is a request elsewhere is a command here. Who gets a mail twice with one
Message-ID shows it once, as mailboxes do.
"""

import asyncio
import base64
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from email import message_from_bytes, policy
from typing import Any, ClassVar

import httpx
from pydantic import SecretStr
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from app.connectors import registry
from app.connectors.base import Connector, IncomingAuthor, Link, Visibility
from app.connectors.mail import MailSettings
from app.connectors.mail_account import MailCredentials
from app.connectors.mail_tls import Security
from app.connectors.testing import Gives
from app.connectors.testing.fake import FakeChannel, Standing, Trouble
from app.errors import Unreachable

ADDRESS, PASSWORD = "care@brand.test", "secret-hunter22"
HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<!doctype html><title>Sign in</title>\r\n"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass
class Mail:
    """A mail in a folder."""

    uid: int
    raw: bytes
    arrived: datetime


@dataclass
class Mailbox:
    """A folder; its numbers only grow while `validity` stands."""

    validity: int = 77
    next: int = 1
    modseq: int = 1
    mails: list[Mail] = field(default_factory=list)

    def add(self, raw: bytes, arrived: datetime) -> int:
        self.mails.append(Mail(self.next, raw, arrived))
        self.next += 1
        self.modseq += 1
        return self.next - 1


class Dialled:
    """The way to the servers; an answer has to come within `patience` seconds."""

    def __init__(self, fake: "FakeMail") -> None:
        self.fake = fake
        self.patience = fake.patience

    async def __call__(self, host: str, port: int) -> socket.socket:
        trouble = self.fake.meets("SMTP" if port == self.fake.smtp_port else "IMAP", "CONNECT")
        if trouble is Trouble.NO_CONNECTION:
            raise Unreachable(f"No connection to {host}.")
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        session = _Smtp if port == self.fake.smtp_port else _Imap
        self.fake.sessions.append(asyncio.create_task(session(self.fake).run(theirs, trouble)))
        return ours


class FakeMail(FakeChannel):
    """dovecot and a submission server."""

    connector: ClassVar[Connector] = registry.get("email")
    cannot_give: Mapping[Gives, str] = dict.fromkeys(
        (Gives.DELETIONS, Gives.EDITS), "a mail that was sent cannot be changed or called back"
    )
    shows_direct = False  # every mail is direct, so there is no other kind to tell it from
    rate_wait = timedelta(minutes=5)  # mail servers do not say how long
    patience = 0.25
    smtp_port = 465
    abilities = b"IMAP4rev1 SASL-IR IDLE CONDSTORE UIDPLUS SPECIAL-USE AUTH=PLAIN"
    files_sent = False  # puts a copy of what is submitted into Sent by itself, as Gmail does
    names_sent = True  # says which folder is the Sent one

    def __init__(self) -> None:
        super().__init__()
        self.folders = {"INBOX": Mailbox(), "Sent": Mailbox()}
        self.taken: list[bytes] = []  # mails that were accepted, every time
        self.gone: set[str] = set()  # addresses that are no more
        self.sessions: list[asyncio.Task[None]] = []
        self.came = asyncio.Event()
        self.waits = asyncio.Event()  # somebody waits for news (IDLE)
        self._numbers = iter(range(1, 1_000_000))

    @property
    def app(self) -> ASGIApp:
        return PlainTextResponse("no web here", 404)

    def limited(self) -> httpx.Response:
        raise AssertionError("mail is no HTTP")

    def settings(self) -> MailSettings:
        return MailSettings(sent=self.shows_own)

    def credentials(self) -> MailCredentials:
        return MailCredentials(
            address=ADDRESS,
            name="Brand Care",
            password=SecretStr(PASSWORD),
            imap_host="imap.brand.test",
            imap_security=Security.NONE,
            smtp_host="smtp.brand.test",
            smtp_port=self.smtp_port,
            smtp_security=Security.NONE,
        )

    def account(self) -> IncomingAuthor:
        return IncomingAuthor(f"mailbox:{ADDRESS}", ADDRESS, "Brand Care")

    def link(self, **changes: Any) -> Link:
        return super().link(**({"dial": Dialled(self)} | changes))

    # -- what happens there

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        mail_id = f"{next(self._numbers)}.{by}@cust.test"
        self.deliver(self.composed(text, f"{by}@cust.test", mail_id, under))
        return mail_id

    def arrive_broken(self) -> None:
        self.deliver(b"Subject: nobody sent this\r\n\r\nNo name stands above it.\r\n")

    def arrive_own(self, text: str) -> str:
        mail_id = f"{next(self._numbers)}.colleague@brand.test"
        self.folders["Sent"].add(self.composed(text, ADDRESS, mail_id, None), self.tick())
        return mail_id

    def remove(self, external_id: str) -> None:
        self.gone.add(external_id.partition(".")[2])  # whose mail it was: there is nobody to answer any more

    def deliver(self, raw: bytes, folder: str = "INBOX") -> int:
        """A mail as it came over the wire."""
        uid = self.folders[folder].add(raw, self.tick())
        self.came.set()
        return uid

    def composed(self, text: str, sender: str, mail_id: str, under: str | None) -> bytes:
        above = self._references(under)
        lines = [f"From: {sender.partition('@')[0].title()} <{sender}>", f"To: {ADDRESS}", f"Message-ID: <{mail_id}>"]
        lines += [f"In-Reply-To: <{under}>", "References: " + " ".join(f"<{one}>" for one in above)] if under else []
        lines += [f"Date: {self.now:%a, %d %b %Y %H:%M:%S %z}", "Subject: My order", "MIME-Version: 1.0"]
        lines += ["X-Invented-2031: ?"] if self.unknown_fields else []
        lines += ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64", ""]
        body = base64.encodebytes(text.replace("\n", "\r\n").encode("utf-8", "surrogatepass"))
        return "\r\n".join(lines).encode() + b"\r\n" + body.replace(b"\n", b"\r\n")

    def _references(self, under: str | None) -> list[str]:
        for box in self.folders.values():
            for mail in box.mails:
                if under and f"Message-ID: <{under}>".encode() in mail.raw:
                    far = re.search(rb"^References: (.*?)\r$", mail.raw, re.MULTILINE)
                    return [*re.findall(r"<([^>]+)>", far[1].decode() if far else ""), under]
        return [under] if under else []

    def ledger(self) -> list[Standing]:
        kept: dict[str, Standing] = {}
        for raw in self.taken:
            mail = message_from_bytes(raw, policy=policy.default)
            mail_id = str(mail["message-id"]).strip("<>")
            body = mail.get_body(("plain",))
            pictures = tuple(
                (str(one["content-description"] or ""), one.get_content()) for one in mail.iter_attachments()
            )
            kept.setdefault(
                mail_id,
                Standing(
                    mail_id,
                    body.get_content().replace("\r\n", "\n") if body else "",
                    str(mail["in-reply-to"] or "").strip("<>") or None,
                    Visibility.DIRECT,
                    pictures,
                ),
            )
        return list(kept.values())

    def is_send(self, request: httpx.Request) -> bool:
        return request.method == "SMTP" and request.url.path == "/MESSAGE"

    def meets(self, protocol: str, command: str) -> Trouble | None:
        """Note a command, and say which trouble befalls it."""
        request = httpx.Request(protocol, f"mail://brand.test/{command}")
        self.requests.append(request)
        if self.between_requests is not None:
            self.between_requests()
        return self.next_trouble(request)


class _Session:
    """One connection, seen from the server."""

    protocol = ""
    greeting = b""

    def __init__(self, fake: FakeMail) -> None:
        self.fake = fake
        self.expired = False
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def run(self, line: socket.socket, trouble: Trouble | None) -> None:
        self.reader, self.writer = await asyncio.open_connection(sock=line, limit=50_000_000)
        try:
            await self.answered(trouble, lambda: self.greeting, tag=b"*")
            while True:
                await self.step()
        except (EOFError, OSError):
            pass
        finally:
            self.writer.transport.abort()

    async def step(self) -> None:
        raise NotImplementedError

    def limited(self, tag: bytes) -> bytes:
        raise NotImplementedError

    def down(self, tag: bytes) -> bytes:
        raise NotImplementedError

    async def line(self) -> bytes:
        return (await self.reader.readuntil(b"\r\n"))[:-2]

    async def answered(self, trouble: Trouble | None, act: Callable[[], bytes], *, tag: bytes = b"*") -> None:
        """Answer what was asked, with whatever trouble was planned."""
        if trouble in {Trouble.RESET, Trouble.NO_CONNECTION}:
            raise EOFError
        if trouble is Trouble.SLOW:
            await self.until_they_leave()
        if trouble in {Trouble.RATE_LIMITED, Trouble.DOWN}:
            await self.say(self.limited(tag) if trouble is Trouble.RATE_LIMITED else self.down(tag))
            raise EOFError
        if trouble is Trouble.HTML:
            await self.say(HTML)
            raise EOFError
        if trouble is Trouble.NULL:
            await self.say(b"null\r\n" if tag in {b"*", b""} else tag + b" OK null\r\n")
            return
        self.expired = self.expired or trouble is Trouble.EXPIRED
        answer = act()
        if trouble is Trouble.ANSWER_LOST:
            await self.until_they_leave()
        if trouble is Trouble.TRUNCATED:
            await self.say(answer[: len(answer) * 2 // 3])
            raise EOFError
        await self.say(answer)

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def until_they_leave(self) -> None:
        while await self.reader.read(1000):
            pass
        raise EOFError


class _Imap(_Session):
    protocol = "IMAP"

    def __init__(self, fake: FakeMail) -> None:
        super().__init__(fake)
        self.greeting = b"* OK [CAPABILITY IMAP4rev1] ready\r\n"
        self.box = Mailbox()

    def limited(self, tag: bytes) -> bytes:
        return (b"* BYE" if tag == b"*" else tag + b" NO") + b" [LIMIT] Too many requests, try again later\r\n"

    def down(self, tag: bytes) -> bytes:
        return b"* BYE Internal error, the server is going away\r\n"

    async def step(self) -> None:
        tag, _, rest = (await self.line()).partition(b" ")
        verb = rest.split(b" ")[0].upper().decode()
        argument = rest.partition(b" ")[2]
        if verb == "UID":
            verb, argument = "UID-" + argument.split(b" ")[0].decode(), argument.partition(b" ")[2]
        if verb == "IDLE":
            await self.idle(tag)
            return
        literal = re.search(rb"\{(\d+)\}$", argument)
        more = b""
        if literal:
            await self.say(b"+ go on\r\n")
            more = await self.reader.readexactly(int(literal[1]) + 2)
        elif verb == "AUTHENTICATE" and argument == b"PLAIN":
            await self.say(b"+ \r\n")
            argument += b" " + await self.line()
        trouble = self.fake.meets("IMAP", verb)

        def act() -> bytes:
            extra = b'* XINVENTED (2031 [?] "x")\r\n' if self.fake.unknown_fields else b""
            return extra + self.done(tag, verb, argument, more)

        await self.answered(trouble, act, tag=tag)
        if verb == "LOGOUT":
            raise EOFError

    async def idle(self, tag: bytes) -> None:
        self.fake.came.clear()
        await self.say(b"+ idling\r\n")
        self.fake.waits.set()
        leaving = asyncio.create_task(self.line())
        coming = asyncio.create_task(self.fake.came.wait())
        await asyncio.wait({leaving, coming}, return_when=asyncio.FIRST_COMPLETED)
        coming.cancel()
        if not leaving.done():
            await self.say(b"* %d EXISTS\r\n" % len(self.box.mails))
        await leaving
        await self.say(tag + b" OK idled\r\n")

    def done(self, tag: bytes, verb: str, argument: bytes, more: bytes) -> bytes:
        if self.expired and verb not in {"CAPABILITY", "LOGOUT"}:
            return tag + b" NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"
        act = getattr(self, "do_" + verb.lower().replace("-", "_"), None)
        if act is None:
            return tag + b" BAD Unknown command\r\n"
        told: bytes = act(argument, more)
        return told + (b"" if b" NO " in told[-200:] else tag + b" OK done\r\n").replace(b"TAG", tag)

    def do_capability(self, _argument: bytes, _more: bytes) -> bytes:
        return b"* CAPABILITY " + self.fake.abilities + b"\r\n"

    def do_authenticate(self, argument: bytes, _more: bytes) -> bytes:
        assert base64.b64decode(argument.split(b" ")[1]) == f"\0{ADDRESS}\0{PASSWORD}".encode()
        return b""

    def do_login(self, argument: bytes, _more: bytes) -> bytes:
        assert argument == f'"{ADDRESS}" "{PASSWORD}"'.encode()
        return b""

    def do_logout(self, _argument: bytes, _more: bytes) -> bytes:
        return b"* BYE Logging out\r\n"

    def do_list(self, _argument: bytes, _more: bytes) -> bytes:
        use = b" \\Sent" if self.fake.names_sent else b""
        return b'* LIST (\\HasNoChildren) "/" INBOX\r\n* LIST (\\HasNoChildren' + use + b') "/" "Sent"\r\n'

    def do_examine(self, argument: bytes, _more: bytes) -> bytes:
        name = argument.split(b" (")[0].decode().strip('"')
        self.box = box = self.fake.folders[name]
        told = f"* FLAGS (\\Seen)\r\n* {len(box.mails)} EXISTS\r\n* 0 RECENT\r\n"
        told += f"* OK [UIDVALIDITY {box.validity}] valid\r\n* OK [UIDNEXT {box.next}] next\r\n"
        if b"CONDSTORE" in argument:
            told += f"* OK [HIGHESTMODSEQ {box.modseq}] highest\r\n"
        return told.encode()

    def do_uid_search(self, argument: bytes, _more: bytes) -> bytes:
        asked = argument.decode()
        if match := re.fullmatch(r"UID (\d+):\*", asked):
            first = min(int(match[1]), self.box.next - 1)
            found = [mail.uid for mail in self.box.mails if mail.uid >= first]
        elif asked == "UID *":
            found = [mail.uid for mail in self.box.mails[-1:]]
        elif match := re.fullmatch(r"UID (\d+)", asked):
            found = [mail.uid for mail in self.box.mails if mail.uid == int(match[1])]
        elif match := re.fullmatch(r"SINCE (\d+)-(\w+)-(\d+)", asked):
            day = date(int(match[3]), MONTHS.index(match[2]) + 1, int(match[1]))
            found = [mail.uid for mail in self.box.mails if mail.arrived.date() >= day]
        elif match := re.fullmatch(r'HEADER Message-ID "(.*)"', asked):
            found = [mail.uid for mail in self.box.mails if match[1].encode() in mail.raw.partition(b"\r\n\r\n")[0]]
        else:
            raise AssertionError(asked)
        return b"* SEARCH" + b"".join(b" %d" % uid for uid in found) + b"\r\n"

    def do_uid_fetch(self, argument: bytes, _more: bytes) -> bytes:
        numbers, _, what = argument.partition(b" ")
        wanted = {int(number) for number in numbers.split(b",")}
        return b"".join(self.shown(n, mail, what) for n, mail in enumerate(self.box.mails, 1) if mail.uid in wanted)

    def shown(self, number: int, mail: Mail, what: bytes) -> bytes:
        told = b"* %d FETCH (UID %d" % (number, mail.uid)
        if self.fake.unknown_fields:
            told += b' X-INVENTED (2031 (NIL "?"))'
        if b"RFC822.SIZE" in what:
            told += b" RFC822.SIZE %d" % len(mail.raw)
        if b"INTERNALDATE" in what:
            at = mail.arrived
            told += f' INTERNALDATE "{at.day:2}-{MONTHS[at.month - 1]}-{at:%Y %H:%M:%S %z}"'.encode()
        if b"BODY.PEEK[]" in what:
            told += b" BODY[] {%d}\r\n" % len(mail.raw) + mail.raw
        return told + b")\r\n"

    def do_append(self, argument: bytes, more: bytes) -> bytes:
        name = argument.split(b" (")[0].decode().strip('"')
        self.fake.folders[name].add(more[:-2], self.fake.now)
        return b""


class _Smtp(_Session):
    protocol = "SMTP"
    greeting = b"220 smtp.brand.test ESMTP\r\n"

    def limited(self, tag: bytes) -> bytes:
        return b"421 4.7.0 Too many messages, slow down\r\n"

    def down(self, tag: bytes) -> bytes:
        return b"" if tag == b"." else b"421 4.3.0 Temporary trouble\r\n"

    async def step(self) -> None:
        command = await self.line()
        verb = command.split(b" ")[0].upper().decode()
        await self.answered(self.fake.meets("SMTP", verb), lambda: self.done(verb, command), tag=b"")
        if verb == "DATA":
            raw = (await self.reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")

            def take() -> bytes:
                self.fake.taken.append(raw)
                if self.fake.files_sent:
                    self.fake.folders["Sent"].add(raw, self.fake.now)
                return b"250 2.0.0 Accepted\r\n"

            trouble = self.fake.meets("SMTP", "MESSAGE")
            await self.answered(trouble, take, tag=b"." if trouble is Trouble.DOWN else b"")
        if verb == "QUIT":
            raise EOFError

    def done(self, verb: str, command: bytes) -> bytes:
        match verb:
            case "EHLO":
                return b"250-smtp.brand.test\r\n250-SIZE 40000000\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n"
            case "AUTH":
                right = base64.b64decode(command.split(b" ")[2]) == f"\0{ADDRESS}\0{PASSWORD}".encode()
                fine = right and not self.expired
                return b"235 2.7.0 Welcome\r\n" if fine else b"535 5.7.8 Authentication failed\r\n"
            case "RCPT":
                address = command.partition(b"<")[2].partition(b">")[0].decode()
                return b"550 5.1.1 There is no such user here\r\n" if address in self.fake.gone else b"250 2.1.5 Ok\r\n"
            case "DATA":
                return b"354 Go on\r\n"
            case "QUIT":
                return b"221 2.0.0 Bye\r\n"
        return b"250 2.0.0 Ok\r\n"


class FakeOldMail(FakeMail):
    """A server of long ago: LOGIN, no IDLE, no CONDSTORE; nobody says which folder is Sent."""

    abilities = b"IMAP4 IMAP4REV1"
    names_sent = False


class FakeSentMail(FakeMail):
    """A mailbox whose server files what is submitted, and whose Sent folder is followed."""

    shows_own = True
    files_sent = True
    abilities = b"IMAP4rev1 AUTH=PLAIN IDLE SPECIAL-USE"


VARIANTS: dict[str, Callable[[], FakeChannel]] = {
    "email": FakeMail,
    "email-old-server": FakeOldMail,
    "email-followed-sent": FakeSentMail,
}
