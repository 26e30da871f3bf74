"""Message templates of WhatsApp: those that are approved and that Careline can fill, and one that is sent.

Rules: developers.facebook.com/documentation/business-messaging/whatsapp/templates (components, parameter formats),
/reference/whatsapp-business-account/message-templates-api.
"""

import re
from typing import Any

from app.connectors.base import Filled, Json, Template
from app.connectors.meta_graph import Graph

_VARIABLE = re.compile(r"\{\{\s*(\w{1,60})\s*\}\}")
_FIELDS = "name,language,status,category,components,parameter_format"
_PAGES = 10


async def approved(graph: Graph, business: str) -> tuple[tuple[Template, ...], int]:
    """The approved templates that can be filled with words, and how many others there are. Raises ConnectorError."""
    found: dict[tuple[str, str], Template] = {}
    others, after = 0, ""
    for _ in range(_PAGES):
        page = await graph.edge(f"{business}/message_templates", after, fields=_FIELDS, status="APPROVED", limit=100)
        for raw in page.entries:
            template = read_template(raw)
            if template is None:
                others += 1
            else:
                found[template.name, template.language] = template
        after = page.after
        if not after:
            break
    return tuple(found.values()), others


def read_template(raw: Any) -> Template | None:
    """A template as it is offered; None for one that needs a picture, or more than words in its body."""
    if not isinstance(raw, dict) or raw.get("status", "APPROVED") != "APPROVED":
        return None
    listed = raw.get("components")
    parts = {str(one.get("type")): one for one in listed if isinstance(one, dict)} if isinstance(listed, list) else {}
    body = str(parts.get("BODY", {}).get("text") or "")
    if not body or not raw.get("name") or not raw.get("language") or _needs_more(parts):
        return None
    texts = [str(parts.get(part, {}).get("text") or "") for part in ("HEADER", "FOOTER")]
    return Template(
        name=str(raw["name"]),
        language=str(raw["language"]),
        body=body,
        variables=variables_of(body),
        header=texts[0],
        footer=texts[1],
        named=raw.get("parameter_format") == "NAMED",
    )


def _needs_more(parts: dict[str, Json]) -> bool:
    """Whether more than the body has to be filled: a picture at its head, a variable there or in a button."""
    header = parts.get("HEADER", {})
    if header.get("format", "TEXT") != "TEXT" or _VARIABLE.search(str(header.get("text") or "")):
        return True
    buttons = parts.get("BUTTONS", {}).get("buttons")
    known = {"QUICK_REPLY", "URL", "PHONE_NUMBER"}
    return any(
        not isinstance(one, dict) or one.get("type") not in known or _VARIABLE.search(str(one.get("url") or ""))
        for one in (buttons if isinstance(buttons, list) else ())
    )


def variables_of(body: str) -> tuple[str, ...]:
    """The names of what is to be filled in, each once, in order."""
    return tuple(dict.fromkeys(_VARIABLE.findall(body)))


def as_sent(filled: Filled) -> Json:
    """The template as the message names it."""
    parameters = [
        {"type": "text", "text": value} | ({"parameter_name": name} if filled.named else {})
        for name, value in filled.values
    ]
    said: Json = {"name": filled.name, "language": {"code": filled.language}}
    if parameters:
        said["components"] = [{"type": "body", "parameters": parameters}]
    return said
