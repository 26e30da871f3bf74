"""An IMAP client of what Careline needs, over a connection that the guarded transport opened.

Rules: RFC 3501 and 9051 (IMAP), 2177 (IDLE), 4315 (UIDPLUS), 4959 (SASL-IR), 5530 (response codes), 6154 (special-use),
7162 (CONDSTORE), 2595 (LOGINDISABLED). The libraries at hand open their own connections, without a guard, or hold a
thread for each one, and none bounds what a server may make us read. Every answer here is bounded in size and time.
"""

import asyncio
import base64
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import date

from app.connectors.dial import Dial
from app.connectors.mail_tls import Security, Server, dialled
from app.connectors.mail_tokens import LITERAL, MONTHS, Token, from_utf7, mailbox, name, parsed, string, words
from app.connectors.mail_words import refusal, retold_ends
from app.errors import ConnectorError, Malformed, Unreachable
from app.i18n import N_

LONGEST_LINE = 4_000_000  # bytes: the numbers of half a million mails
LARGEST = 40_000_000  # bytes of one mail that is read
MOST_ANSWERS = 20_000  # untagged ones to one command
IDLE = b"IDLE"  # among a server's abilities
IDLE_SECONDS = 25 * 60  # RFC 2177, 3: begin again at least every 29 minutes


_CODE = re.compile(rb"\[([A-Z0-9-]+)(?: ([^\]]*))?\]")


@dataclass(frozen=True, slots=True)
class Selected:
    """A folder as it stands (RFC 3501, 2.3.1.1). `modseq` is 0 where the server counts no changes."""

    validity: int
    next: int
    modseq: int


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the server: its first words, and what came with it."""

    tag: bytes
    kind: bytes  # OK, NO, BAD, BYE, or the name of what is told
    text: bytes  # without literals
    tokens: list[Token]


class Imap:
    """One signed-in connection. Raises ConnectorError and nothing else."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, patience: float) -> None:
        """Take over an open connection; `patience` is in seconds for each answer."""
        self.host = host
        self.abilities: frozenset[bytes] = frozenset()
        self._reader = reader
        self._writer = writer
        self._patience = patience
        self._count = 0
        self._news = False  # something came into the folder since the last search

    # -- beginning and ending

    async def greet(self, server: Server) -> None:
        """Read the greeting, learn what the server can, and put TLS around the connection where that is asked for."""
        first = await self._answer()
        if first.tag != b"*" or first.kind not in {b"OK", b"PREAUTH", b"BYE"}:
            raise self._malformed(N_("it does not greet as IMAP servers do"))
        if first.kind == b"BYE":
            raise refusal(self.host, "BYE", words(first.text))
        await self._learn()
        if server.security is Security.STARTTLS:
            await self._do(b"STARTTLS")
            await self._under_tls(server.tls)
            await self._learn()

    async def sign_in(self, user: str, password: str) -> None:
        """Raises Unauthorized."""
        if b"AUTH=PLAIN" in self.abilities:
            secret = base64.b64encode(f"\0{user}\0{password}".encode())
            if b"SASL-IR" in self.abilities:
                await self._do(b"AUTHENTICATE PLAIN " + secret, signing_in=True)
            else:
                await self._do(b"AUTHENTICATE PLAIN", signing_in=True, more=secret)
        elif b"LOGINDISABLED" in self.abilities:
            raise refusal(self.host, "NO", N_("it lets nobody sign in over this connection"), signing_in=True)
        else:
            await self._do(b"LOGIN " + string(user) + b" " + string(password), signing_in=True)
        await self._learn()

    async def close(self) -> None:
        """Say goodbye as far as the other side listens."""
        with suppress(ConnectorError, OSError, TimeoutError):
            async with asyncio.timeout(1):
                await self._do(b"LOGOUT")
        self.drop()

    def drop(self) -> None:
        """End the connection at once."""
        self._writer.transport.abort()

    async def _learn(self) -> None:
        for answer in await self._do(b"CAPABILITY"):
            if answer.kind == b"CAPABILITY":
                self.abilities = frozenset(answer.text.upper().split())
        if not self.abilities & {b"IMAP4REV1", b"IMAP4REV2"}:
            raise self._malformed(N_("it does not say that it speaks IMAP"))

    async def _under_tls(self, context: ssl.SSLContext) -> None:
        if self._reader._buffer:  # type: ignore[attr-defined]  # noqa: SLF001 - CVE-2011-0411: words put in before TLS
            raise self._malformed(N_("it says more before TLS begins than it may"))
        with retold_ends(self.host):
            async with asyncio.timeout(self._patience):
                await self._writer.start_tls(context, server_hostname=self.host)

    # -- what is asked

    async def select(self, folder: str) -> Selected:
        """Open a folder for reading only: what is read stays unread for others. Raises Refused: no such folder."""
        condstore = b" (CONDSTORE)" if b"CONDSTORE" in self.abilities else b""
        told: dict[bytes, int] = {}
        for answer in await self._do(b"EXAMINE " + mailbox(folder) + condstore):
            code = _CODE.match(answer.text) if answer.kind == b"OK" else None
            if code and (code[2] or b"").isdigit():
                told[code[1]] = int(code[2])
        if b"UIDVALIDITY" not in told:
            raise self._malformed(N_("it does not say how its numbers count (UIDVALIDITY)"))
        return Selected(told[b"UIDVALIDITY"], told.get(b"UIDNEXT", 0), told.get(b"HIGHESTMODSEQ", 0))

    async def search(self, asked: str, *, sure: bool = False) -> list[int]:
        """The UIDs of the mails that fit, ascending. Where it has to be `sure`, silence is no answer."""
        found: list[int] = []
        said, self._news = False, False
        for answer in await self._do(b"UID SEARCH " + asked.encode("ascii")):
            if answer.kind == b"SEARCH":
                said = True
                found += [int(number) for number in answer.text.split() if number.isdigit()]
        if sure and not said:
            raise self._malformed(N_("it answers a search with nothing at all"))
        return sorted(set(found))

    async def above(self, uid: int) -> list[int]:
        """The UIDs behind this one (`*` alone would name the last mail, too)."""
        return [found for found in await self.search(f"UID {uid + 1}:*") if found > uid]

    async def since(self, day: date) -> list[int]:
        """The UIDs of what came on that day or later."""
        return await self.search(f"SINCE {day.day}-{MONTHS[day.month - 1]}-{day.year}")

    async def with_message_id(self, message_id: str) -> list[int]:
        """The UIDs of mails with this Message-ID."""
        return await self.search("HEADER Message-ID " + string(message_id).decode("ascii"), sure=True)

    async def fetch(self, uids: Sequence[int], what: str) -> dict[int, dict[bytes, Token]]:
        """Items of mails by UID. A mail that is gone meanwhile is left out."""
        numbers = ",".join(map(str, uids))
        found: dict[int, dict[bytes, Token]] = {}
        for answer in await self._do(f"UID FETCH {numbers} (UID {what})".encode("ascii")):
            items = answer.tokens[-1] if answer.tokens and answer.kind.isdigit() else None
            if isinstance(items, list) and b"FETCH" in answer.tokens:
                pairs = dict(zip(map(name, items[::2]), items[1::2], strict=False))
                if (pairs.get(b"UID") or b"").isdigit():
                    found[int(pairs[b"UID"])] = pairs
        return found

    async def append(self, folder: str, message: bytes) -> None:
        """Put a read mail into a folder."""
        await self._do(b"APPEND " + mailbox(folder) + b" (\\Seen) {%d}" % len(message), more=message)

    async def special(self, use: str) -> str | None:
        r"""The folder with a special use (`\Sent`), where the server names it."""
        for answer in await self._do(b'LIST "" "*"'):
            if answer.kind == b"LIST" and len(answer.tokens) >= 3 and isinstance(answer.tokens[0], list):  # noqa: PLR2004 - flags, separator, name
                flags = [str(flag, "ascii", "replace").lower() for flag in answer.tokens[0] if isinstance(flag, bytes)]
                if use.lower() in flags:
                    return from_utf7(bytes(answer.tokens[2] or b""))
        return None

    async def idle(self) -> None:
        """Wait until the server tells of something in the folder, or until it is time to begin again."""
        if self._news:
            return
        tag = await self._say(b"IDLE")
        await self._continued(tag)
        with suppress(TimeoutError):
            async with asyncio.timeout(IDLE_SECONDS):
                while (answer := await self._answer(patience=None)).text.upper() != b"EXISTS":
                    self._goodbye(answer)
        await self._write(b"DONE\r\n")
        await self._until(tag, "IDLE")

    # -- the wire

    async def _do(self, command: bytes, *, more: bytes | None = None, signing_in: bool = False) -> list[Answer]:
        """One command and what was told until it was done. Raises what a refusal means."""
        tag = await self._say(command)
        if more is not None:
            await self._continued(tag)
            await self._write(more + b"\r\n")
        return await self._until(tag, command.split(b" ", 1)[0].decode(), signing_in=signing_in)

    async def _say(self, command: bytes) -> bytes:
        self._count += 1
        tag = b"C%d" % self._count
        await self._write(tag + b" " + command + b"\r\n")
        return tag

    async def _continued(self, tag: bytes) -> None:
        """Wait for leave to go on."""
        while (answer := await self._answer()).tag != b"+":
            if answer.tag == tag:
                raise refusal(self.host, answer.kind.decode("ascii", "replace"), words(answer.text))
            self._goodbye(answer)

    async def _until(self, tag: bytes, command: str, *, signing_in: bool = False) -> list[Answer]:
        told: list[Answer] = []
        while (answer := await self._answer()).tag != tag:
            self._goodbye(answer, leaving=command == "LOGOUT")
            told.append(answer)
            self._news = self._news or answer.text.upper() == b"EXISTS"
            if len(told) > MOST_ANSWERS:
                raise self._malformed(N_("it does not come to an end"))
        if answer.kind == b"OK":
            return told
        if answer.kind not in {b"NO", b"BAD"}:
            raise self._malformed(N_("it neither does what is asked nor refuses it"))
        raise refusal(self.host, answer.kind.decode(), words(answer.text), signing_in=signing_in)

    def _goodbye(self, answer: Answer, *, leaving: bool = False) -> None:
        if answer.tag == b"*" and answer.kind == b"BYE" and not leaving:
            raise refusal(self.host, "BYE", words(answer.text))
        if answer.tag not in {b"*", b"+"}:
            raise self._malformed(N_("it answers in another language than IMAP"))

    async def _write(self, data: bytes) -> None:
        with retold_ends(self.host):
            async with asyncio.timeout(self._patience):
                self._writer.write(data)
                await self._writer.drain()

    async def _answer(self, *, patience: float | None = 0) -> Answer:
        """The next answer, its literals read; `patience` None waits as long as the caller does."""
        with retold_ends(self.host):
            async with asyncio.timeout(self._patience if patience == 0 else patience):
                pieces = await self._pieces()
        head = pieces[0].split(b" ", 2)
        tag, kind = head[0], head[1].upper() if len(head) > 1 else b""
        text = head[2] if len(head) > 2 else b""  # noqa: PLR2004 - tag, kind, the rest
        tokens: list[Token] = []
        if tag == b"*" and (kind.isdigit() or kind == b"LIST"):
            try:
                tokens = parsed([text, *pieces[1:]])
            except ValueError as error:
                raise self._malformed(N_("its brackets do not fit")) from error
        return Answer(tag, kind, text, tokens)

    async def _pieces(self) -> list[bytes]:
        """A line, and where literals stand in it the literal and what goes on behind it, in turns."""
        pieces: list[bytes] = []
        while True:
            line = await self._line(begun=bool(pieces))
            pieces.append(line)
            literal = LITERAL.search(line)
            if literal is None:
                return pieces
            size = int(literal[1])
            if size > LARGEST:
                raise self._malformed(N_("a mail is larger than it said"))
            try:
                pieces.append(await self._reader.readexactly(size))
            except asyncio.IncompleteReadError as error:
                raise self._malformed(N_("the connection ended in the middle of an answer")) from error

    async def _line(self, *, begun: bool) -> bytes:
        try:
            line = await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            raise self._malformed(N_("a line of its answer has no end")) from error
        except asyncio.IncompleteReadError as error:
            if error.partial or begun:
                raise self._malformed(N_("the connection ended in the middle of an answer")) from error
            raise Unreachable(
                N_("%(host)s ended the connection. It is tried again later.") % {"host": self.host}
            ) from error
        return line.rstrip(b"\r\n")

    def _malformed(self, why: str) -> Malformed:
        return Malformed(
            N_("%(host)s does not answer as an IMAP server does (%(why)s). Check its name and port.")
            % {"host": self.host, "why": why}
        )


@asynccontextmanager
async def imap(dial: Dial, server: Server, user: str, password: str) -> AsyncIterator[Imap]:
    """A signed-in connection, ended afterwards."""
    line = await dialled(dial, server)
    with retold_ends(server.host):
        async with asyncio.timeout(dial.patience):
            implicit = {"ssl": server.tls, "server_hostname": server.host} if server.security is Security.TLS else {}
            reader, writer = await asyncio.open_connection(sock=line, limit=LONGEST_LINE, **implicit)  # type: ignore[arg-type]
    client = Imap(reader, writer, server.host, dial.patience)
    try:
        await client.greet(server)
        await client.sign_in(user, password)
        yield client
        await client.close()
    finally:
        client.drop()
