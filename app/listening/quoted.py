"""Where a mail's own words end and what it quotes begins: the signature and the mails below it.

Line by line in one pass, since strangers write what is read here: the patterns of the reply parsers at hand take minutes
for a mail made to hurt them (20,000 spaces), and change the text. Nothing is thrown away; the caller folds the rest.
"""

import re

_MARK = re.compile(r"^\s{0,3}(>|\|)")  # a quoted line
_SIGNATURE = re.compile(r"^-- ?$")  # RFC 3676, 4.3
_RULED = re.compile(r"^\s*([_*=-])\1{4,}.{0,60}$|^\s*-{2,}\s?\S.{0,60}-{2,}\s*$")  # ____, -----Original Message-----
_HEADER = re.compile(r"^\s*\*?[^\s:*][^:*\n]{0,24}\s?:\*?\s+\S")  # From: ..., *Von:* ...
_ADDRESS = re.compile(r"@[\w-]+\.\w")
_DEVICE = re.compile(
    r"^(sent from|gesendet von|von meinem|enviado desde|envoyé de|inviato da|verzonden|أُ?رسلت? من|iphoneから送信).{0,60}$",
    re.IGNORECASE,
)
_LONGEST = 400  # characters of a line that are looked at
_HEADERS = 3  # lines like From:, Sent:, To: in a row make a quoted head


def split(text: str) -> tuple[str, str]:
    """A mail's own words, and what follows them. A text that only quotes is its own."""
    lines = [line[:_LONGEST] for line in text.split("\n")]
    cut = _cut(lines)
    whole = text.split("\n")
    while cut > 0 and not whole[cut - 1].strip():
        cut -= 1
    if cut <= 0 or cut >= len(whole):
        return text, ""
    return "\n".join(whole[:cut]), "\n".join(whole[cut:]).strip("\n")


def _cut(lines: list[str]) -> int:
    """The first line that is not its writer's own any more."""
    tail = _quoted_tail(lines)
    for at, line in enumerate(lines[:tail]):
        if _SIGNATURE.match(line) or (_DEVICE.match(line.strip()) and _ends_soon(lines, at)):
            return at
        if _is_head(lines, at):
            return at - 1 if at and _RULED.match(lines[at - 1]) else at
    quotes = tail < len(lines) and _MARK.match(lines[tail])
    return _with_opening(lines, tail) if quotes else tail


def _quoted_tail(lines: list[str]) -> int:
    """Where the quotation begins behind which, but for a signature, no words of the writer's own come.

    Who answers between the lines quotes in between: that stays.
    """
    signed = next((at for at, line in enumerate(lines) if _SIGNATURE.match(line)), len(lines))
    first = signed
    for at in range(signed - 1, -1, -1):
        if _MARK.match(lines[at]):
            first = at
        elif lines[at].strip():
            break
    return first


def _ends_soon(lines: list[str], at: int) -> bool:
    """Whether nothing of the writer's own follows: the end, or what is quoted."""
    following = [line for line in lines[at + 1 : at + 8] if line.strip()]
    return not following or _MARK.match(following[0]) is not None or following[0].rstrip().endswith(":")


def _is_head(lines: list[str], at: int) -> bool:
    """`From: ... Sent: ... To: ...`, in whatever language: several named lines in a row, an address among them."""
    if not _HEADER.match(lines[at]):
        return False
    head = []
    for line in lines[at : at + 8]:
        if not _HEADER.match(line):
            break
        head.append(line)
    return len(head) >= _HEADERS and any(_ADDRESS.search(line) for line in head[:2])


def _with_opening(lines: list[str], at: int) -> int:
    """`On Monday Ann wrote:` belongs to what it opens; it may be broken over two lines."""
    above = at - 1
    while above >= 0 and not lines[above].strip():
        above -= 1
    if above < 0 or at - above > 2 or not lines[above].rstrip().endswith((":", "\uff1a")):  # noqa: PLR2004 - a blank line
        return at
    opens = _ADDRESS.search(lines[above]) or re.search(r"\d", lines[above])
    if not opens and above and lines[above - 1].strip() and re.search(r"\d", lines[above - 1]):
        return above - 1
    if opens and above and lines[above - 1].strip() and not re.search(r"\d{4}", lines[above]):
        longer = re.search(r"\d{4}", lines[above - 1])
        return above - 1 if longer else above
    return above
