"""Telegram's Bot API as far as the connector meets it: updates that wait until they are confirmed, chats, files, refusals.

Rules: core.telegram.org/bots/api; the descriptions of errors as its server gives them (github.com/tdlib/telegram-bot-api).
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from app.connectors import registry
from app.connectors.base import IncomingAuthor, Json, Link, SettingsModel, Visibility
from app.connectors.telegram_api import Bot
from app.connectors.telegram_settings import TelegramCredentials, TelegramSettings
from app.connectors.testing import Gives
from app.connectors.testing.fake import Delivery, FakeChannel, Standing

HOOK = "https://care.example/hooks/of-the-bot"
BOT, US = 700, "northwind_bot"
TOKEN = f"{BOT}:AAH-secret-token"
PEOPLE = {"ada": 11, "bob": 12, "carol": 13}
GROUP: Json = {"id": -1001234567890, "type": "supergroup", "title": "Tents", "username": "tents"}
CHANNEL: Json = {"id": -1009876543210, "type": "channel", "title": "Northwind news", "username": "northwind"}
OURSELVES: Json = {"id": BOT, "is_bot": True, "first_name": "Northwind", "username": US}
FETCHED = (Gives.FORWARD, Gives.BACKWARD, Gives.RESTARTS, Gives.EXPIRY, Gives.SKEW)
_RECALL = timedelta(hours=48)


class Wrong(Exception):
    """A refusal, with what it says beside its words."""

    def __init__(self, code: int, said: str, **more: Any) -> None:
        super().__init__(said)
        self.answer = {"ok": False, "error_code": code, "description": said, **({"parameters": more} if more else {})}


class FakeTelegram(FakeChannel):
    """A bot, its private chats, and a group. `grouped`: this variant's people write in the group."""

    connector = registry.get("telegram")
    page_size = 50
    cannot = frozenset({"dated", "signed", "uploads"})
    tells_changes = True
    cannot_give: Mapping[Gives, str] = {
        Gives.DELETIONS: "a bot is not told what people delete, but in business accounts",
        Gives.ONCE: "it knows no repeat, and shows a bot nothing of what it sent: a person decides",
    }

    def __init__(self, *, grouped: bool = False, delivered: bool = False) -> None:
        super().__init__()
        self.grouped, self.delivered = grouped, delivered
        self.shows_direct = grouped  # in private chats everything is direct, so there is no other kind to tell it from
        self.cannot |= {"pull"} if delivered else {"pushes"}
        if delivered:
            self.cannot_give = {**self.cannot_give, **dict.fromkeys(FETCHED, "its messages are delivered, not fetched")}
        self.token = TOKEN
        self.messages: dict[tuple[int, int], Json] = {}
        self.pictures: dict[tuple[int, int], list[bytes]] = {}
        self.updates: list[Json] = []
        self.blocked: dict[int, str] = {}  # with what Telegram says of it
        self.files: dict[str, bytes] = {}
        self.webhook = ""
        self.trouble_delivering: Json = {}
        self.busy = 0  # calls of getUpdates that another program ends
        self.privacy = True
        self.names = {number: name for name, number in PEOPLE.items()}
        self._messages, self._updates = count(21), count(5001)

    # -- how to reach it

    @property
    def app(self) -> ASGIApp:
        file = Route("/file/bot{token}/{path:path}", self._give)
        return Starlette(routes=[file, Route("/bot{token}/{method}", self._answer, methods=["POST"])])

    def settings(self) -> SettingsModel:
        return TelegramSettings(delivered=self.delivered)

    def credentials(self) -> SettingsModel:
        return TelegramCredentials(token=SecretStr(TOKEN))

    def link(self, **changes: Any) -> Link:
        return super().link(**({"hook": HOOK} | changes))

    def account(self) -> IncomingAuthor:
        return IncomingAuthor(str(BOT), US)

    # -- what happens there

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        shared = self.grouped and not direct
        said = f"@{US} {text}" if shared else text
        more: Json = {"reply_to_message": self.named(under)} if under else {}
        message = self.write({"text": said, **more}, by=by, chat=GROUP if shared else None)
        return name_of(message)

    def arrive_broken(self) -> None:
        self.arrive("northwind")
        self.updates[-1]["message"]["date"] = "some day"

    def write(self, said: Json, *, by: str = "ada", chat: Json | None = None, update: str = "message") -> Json:
        """A message of whatever type."""
        who = self.person(by)
        place = chat or {"id": who["id"], "type": "private", "first_name": who["first_name"]}
        message: Json = {"message_id": next(self._messages), "date": int(self.now.timestamp()), "chat": place, **said}
        if place["type"] == "channel":
            message["sender_chat"] = place
        else:
            message["from"] = who
        above = said.get("reply_to_message")
        if above and place["type"] == "supergroup":
            message["message_thread_id"] = above.get("message_thread_id", above["message_id"])
        self.messages[place["id"], message["message_id"]] = message
        self.tell(update, message)
        self.tick()
        return message

    def tell(self, kind: str, told: Json) -> Json:
        """An update waits for the bot."""
        update = {"update_id": next(self._updates), kind: json.loads(json.dumps(told))}
        self.updates.append(update)
        return update

    def person(self, by: str) -> Json:
        """Who writes."""
        number = PEOPLE[by]
        return {"id": number, "is_bot": False, "first_name": by.title(), "username": self.names[number]}

    def named(self, external_id: str) -> Json:
        """The message of that name, without what it answers itself."""
        found = next(message for message in self.messages.values() if name_of(message) == external_id)
        return {name: value for name, value in found.items() if name != "reply_to_message"}

    def rename(self, by: str) -> None:
        self.names[PEOPLE[by]] = f"{by}_the_second"

    def rewrite(self, external_id: str, text: str) -> None:
        message = self.named(external_id)
        said = f"@{US} {text}" if message["chat"]["type"] == "supergroup" else text
        message |= {"text": said, "edit_date": int(self.tick().timestamp())}
        self.tell("edited_message", message)

    def remove(self, external_id: str) -> None:
        message = self.named(external_id)
        del self.messages[message["chat"]["id"], message["message_id"]]

    def ledger(self) -> list[Standing]:
        found = []
        for key, message in self.messages.items():
            if message.get("from", {}).get("id") != BOT or "follows" in message:
                continue
            above = message.get("reply_to_message")
            direct = message["chat"]["type"] == "private"
            audience = Visibility.DIRECT if direct else Visibility.PUBLIC
            text = message.get("text") or message.get("caption", "")
            parent = name_of(above) if above else None
            pictures = tuple(("", content) for content in self.pictures.get(key, ()))
            found.append(Standing(name_of(message), text, parent, audience, pictures))
        return found

    def is_send(self, request: httpx.Request) -> bool:
        return request.url.path.rpartition("/")[2].startswith(("send", "edit", "delete"))

    def limited(self) -> httpx.Response:
        seconds = int(self.rate_wait.total_seconds())
        said = f"Too Many Requests: retry after {seconds}"
        return httpx.Response(429, json=Wrong(429, said, retry_after=seconds).answer)

    def expired(self) -> httpx.Response:
        return httpx.Response(401, json=Wrong(401, "Unauthorized").answer)

    # -- deliveries

    def pushed(self) -> list[Delivery]:
        return [self.deliver(update) for update in self.updates] if self.delivered else []

    def deliver(self, update: Json) -> Delivery:
        """An update as it is delivered."""
        return self.signed(json.dumps(update).encode())

    def signed(self, body: bytes) -> Delivery:
        return Delivery({"X-Telegram-Bot-Api-Secret-Token": Bot(self.link()).proof}, body)

    def delivery(self, *texts: str, broken: int = 0) -> Delivery:
        (one,) = self.deliveries(*texts, broken=broken)
        return one

    def deliveries(self, *texts: str, broken: int = 0) -> list[Delivery]:
        """An update each. What people write to the bot in private is what they wrote."""
        told = []
        for text in texts:
            self.write({"text": text})
            told.append(self.deliver(self.updates[-1]))
        return told + [
            self.deliver({"update_id": next(self._updates), "message": {"text": "?"}}) for _ in range(broken)
        ]

    # -- the surface

    async def _answer(self, request: Request) -> Response:
        if request.path_params["token"] != self.token:
            return _json(Wrong(401, "Unauthorized").answer)
        run = getattr(self, f"_{request.path_params['method']}")
        try:
            async with _asked(request) as asked:
                found = run(asked)
                result = await found if isinstance(found, Awaitable) else found
        except Wrong as wrong:
            return _json(wrong.answer)
        return _json({"ok": True, "result": result})

    def _getMe(self, _asked: Json) -> Json:  # noqa: N802 - as the method is called
        return OURSELVES | {"can_join_groups": True, "can_read_all_group_messages": not self.privacy}

    def _getUpdates(self, asked: Json) -> list[Json]:  # noqa: N802
        if self.webhook:
            raise Wrong(409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook first")
        if self.busy:
            self.busy -= 1
            raise Wrong(409, "Conflict: terminated by other getUpdates request; make sure that only one bot is running")
        self.updates = [one for one in self.updates if one["update_id"] >= asked.get("offset", 0)]
        return [one for one in self.updates if set(one) & set(asked["allowed_updates"])][: asked["limit"]]

    def _getWebhookInfo(self, _asked: Json) -> Json:  # noqa: N802
        known = {"url": self.webhook, "has_custom_certificate": False, "pending_update_count": 0}
        return known | self.trouble_delivering

    def _setWebhook(self, asked: Json) -> bool:  # noqa: N802
        assert asked["secret_token"] == Bot(self.link()).proof
        self.webhook = asked["url"]
        return True

    def _deleteWebhook(self, _asked: Json) -> bool:  # noqa: N802
        self.webhook = ""
        return True

    def _getFile(self, asked: Json) -> Json:  # noqa: N802
        if asked["file_id"] not in self.files:
            raise Wrong(400, "Bad Request: file is too big")
        name = asked["file_id"]
        return {"file_id": name, "file_unique_id": f"u{name}", "file_path": f"photos/{name}.jpg"}

    async def _give(self, request: Request) -> Response:
        assert request.path_params["token"] == self.token
        return Response(self.files[request.path_params["path"].removeprefix("photos/").removesuffix(".jpg")])

    def _sendMessage(self, asked: Json) -> Json:  # noqa: N802
        if not 1 <= len(asked["text"]) <= 4096:
            raise Wrong(400, "Bad Request: message is too long")
        return self._stand(asked, {"text": asked["text"]})

    async def _sendPhoto(self, asked: Json) -> Json:  # noqa: N802
        message = self._stand(asked, {"caption": _caption(asked), "photo": [_size("sent")]})
        self.pictures[message["chat"]["id"], message["message_id"]] = [await asked["photo"].read()]
        return message

    async def _sendMediaGroup(self, asked: Json) -> list[Json]:  # noqa: N802
        made = []
        for number, one in enumerate(asked["media"]):
            more = {"follows": True} if number else {"caption": _caption(one)}
            made.append(self._stand(asked, {"photo": [_size(f"sent{number}")], **more}))
        names = [one["media"].removeprefix("attach://") for one in asked["media"]]
        first = made[0]
        self.pictures[first["chat"]["id"], first["message_id"]] = [await asked[name].read() for name in names]
        return [{name: value for name, value in one.items() if name != "follows"} for one in made]

    def _stand(self, asked: Json, said: Json) -> Json:
        """Our message in a chat. Bots may write to nobody who never wrote to them, or who blocked them."""
        chat: Json = GROUP if asked["chat_id"] == GROUP["id"] else {"id": asked["chat_id"], "type": "private"}
        if chat["id"] in self.blocked:
            raise Wrong(403, self.blocked[chat["id"]])
        if chat["type"] == "private" and not any(key[0] == chat["id"] for key in self.messages):
            raise Wrong(403, "Forbidden: bot can't initiate conversation with a user")
        number = asked.get("reply_parameters", {}).get("message_id")
        above = self.messages.get((chat["id"], number))
        if number and above is None:
            raise Wrong(400, "Bad Request: message to be replied not found")
        more = {"reply_to_message": self.named(name_of(above))} if above else {}
        if business := asked.get("business_connection_id"):
            more |= {"business_connection_id": business}
        message: Json = {
            "message_id": next(self._messages),
            "date": int(self.now.timestamp()),
            "chat": chat,
            "from": OURSELVES,
        }
        message |= said | more
        self.messages[chat["id"], message["message_id"]] = message
        return message

    def _editMessageText(self, asked: Json) -> Json:  # noqa: N802
        return self._edit(asked, "text", 4096)

    def _editMessageCaption(self, asked: Json) -> Json:  # noqa: N802
        return self._edit(asked, "caption", 1024)

    def _deleteBusinessMessages(self, asked: Json) -> bool:  # noqa: N802
        for key in [key for key in self.messages if key[1] in asked["message_ids"]]:
            assert self.messages.pop(key)["business_connection_id"] == asked["business_connection_id"]
        return True

    def _edit(self, asked: Json, name: str, most: int) -> Json:
        message = self.messages.get((asked["chat_id"], asked["message_id"]))
        if message is None:
            raise Wrong(400, "Bad Request: message to edit not found")
        if len(asked[name]) > most:
            raise Wrong(400, "Bad Request: MESSAGE_TOO_LONG")
        if message[name] == asked[name]:
            raise Wrong(400, "Bad Request: message is not modified: specified new message content is the same")
        message |= {name: asked[name], "edit_date": int(self.now.timestamp())}
        return message

    def _deleteMessage(self, asked: Json) -> bool:  # noqa: N802
        message = self.messages.get((asked["chat_id"], asked["message_id"]))
        if message is None:
            raise Wrong(400, "Bad Request: message to delete not found")
        if self.now.timestamp() - message["date"] > _RECALL.total_seconds():
            raise Wrong(400, "Bad Request: message can't be deleted for everyone")
        del self.messages[asked["chat_id"], asked["message_id"]]
        return True

    def _deleteMessages(self, asked: Json) -> bool:  # noqa: N802
        for number in asked["message_ids"]:
            self.messages.pop((asked["chat_id"], number), None)
        return True


class _asked:  # noqa: N801 - used like a function
    """What was asked: a JSON object, or a form whose files are closed at the end."""

    def __init__(self, request: Request) -> None:
        self.request = request

    async def __aenter__(self) -> Json:
        if "json" in self.request.headers.get("content-type", ""):
            told: Json = await self.request.json()
            return told
        form = await self.request.form()
        return {name: value if isinstance(value, UploadFile) else _said(name, value) for name, value in form.items()}

    async def __aexit__(self, *_error: object) -> None:
        await self.request.close()


def _said(name: str, value: str) -> Any:
    return value if name in {"caption", "business_connection_id"} else json.loads(value)


def _caption(asked: Json) -> str:
    if len(asked["caption"]) > 1024:
        raise Wrong(400, "Bad Request: message caption is too long")
    return str(asked["caption"])


def _size(name: str) -> Json:
    return {"file_id": name, "file_unique_id": f"u{name}", "width": 2, "height": 1}


def name_of(message: Json) -> str:
    """The name that the connector has to give it."""
    chat = message["chat"]
    side = message.get("business_connection_id", BOT)
    shared = chat["type"] in {"supergroup", "channel"}
    return f"{chat['id']}:{message['message_id']}" if shared else f"{side}:{chat['id']}:{message['message_id']}"


def _json(answer: Json) -> Response:
    return Response(json.dumps(answer), answer.get("error_code", 200), media_type="application/json")


VARIANTS: dict[str, Callable[[], FakeChannel]] = {
    "telegram-private": FakeTelegram,
    "telegram-group": partial(FakeTelegram, grouped=True),
    "telegram-delivered": partial(FakeTelegram, delivered=True),
}
