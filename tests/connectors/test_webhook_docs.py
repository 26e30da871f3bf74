"""docs/webhook.md says what the code does: its examples are run, its fields are the schema's."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.connectors.base import OutgoingReply, Visibility
from app.connectors.webhook_schema import AuthorIn, ChangeIn, MediaIn, OptionIn, PollIn, PostIn, QuoteIn
from tests.connectors.fakes.webhook import SECRET, FakeSender

PAGE = (Path(__file__).parents[2] / "docs" / "webhook.md").read_text(encoding="utf-8")
POST, REPLY = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))


def test_the_example_signs_and_its_post_is_read() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    written: dict[str, Any] = {}
    exec(code, written)
    body = json.dumps(POST).encode()
    fake = FakeSender()
    link = fake.link(now=datetime.now(UTC))
    batch = fake.connector.receive(link, written["headers"](SECRET, body), body)
    assert not batch.rejected
    assert batch.posts[0].text == POST["text"]


def test_every_field_of_the_schema_is_in_the_table_and_the_example_of_a_reply_is_what_is_sent() -> None:
    for model in (PostIn, ChangeIn, AuthorIn, MediaIn, QuoteIn, PollIn, OptionIn):
        assert [name for name in model.model_fields if f"`{name}`" not in PAGE] == []
    data = REPLY["data"]
    reply = OutgoingReply(
        key=data["id"],
        text=data["text"],
        visibility=Visibility(data["visibility"]),
        to={"id": data["in_reply_to"], "thread": data["thread"]},
        to_external_id="shop:1042",
        created_at=datetime.fromisoformat(REPLY["timestamp"]),
    )
    fake = FakeSender()
    assert json.loads(fake.connector.prepare(fake.link(), reply)["body"]) == REPLY
