"""An Instagram account: comments and answers under its media, tags, mentions and messages."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from app.connectors import registry
from app.connectors.base import Connector, IncomingAuthor, Visibility
from app.connectors.instagram import InstagramSettings
from app.connectors.meta_account import PageCredentials
from app.connectors.testing import Gives
from app.connectors.testing.fake import FakeChannel, Standing
from tests.connectors.fakes.facebook import PEOPLE, FakeMessenger, credentials
from tests.connectors.fakes.meta import IG, IG_NAME, Entry, gone, graph_time

NOTHING = {"comments": False, "mentions": False, "messages": False}


class FakeInstagram(FakeMessenger):
    """Messages, as Messenger has them, under other names; and the account with one picture."""

    connector: ClassVar[Connector] = registry.get("instagram")
    bring: ClassVar[dict[str, bool]] = {"messages": True}
    object: ClassVar[str] = "instagram"
    owner: ClassVar[str] = IG

    def __init__(self) -> None:
        super().__init__()
        self.media = self.put_media(IG_NAME, "Our winter sale has begun", "media")
        self.mentions: dict[str, Entry] = {}

    def settings(self) -> InstagramSettings:
        return InstagramSettings.model_validate(NOTHING | self.bring)

    def credentials(self) -> PageCredentials:
        return credentials(instagram_id=IG, instagram_name=IG_NAME)

    def account(self) -> IncomingAuthor | None:
        return IncomingAuthor(IG, IG_NAME)

    def put_media(self, by: str, caption: str, place: str) -> str:
        self.tick()
        name = self.new("180")
        thing = {"id": name, "caption": caption, "timestamp": graph_time(self.now), "username": by}
        link = {"permalink": f"https://www.instagram.com/p/{name}/", "media_type": "IMAGE"}
        self.things[name] = thing | link | {"_kind": "media", "_made": self.made, "_at": self.now, "_place": place}
        return name

    def put_comment(self, by: str, text: str, under: str | None = None) -> str:
        self.tick()
        name = self.new("179")
        person = {"id": IG, "username": IG_NAME} if by == IG else {"id": PEOPLE[by], "username": by}
        thing = {
            "id": name,
            "text": text,
            "timestamp": graph_time(self.now),
            "from": person,
            "username": person["username"],
        }
        own = {"_kind": "igcomment", "_made": self.made, "_at": self.now, "_under": under or ""}
        self.things[name] = thing | ({"parent_id": under} if under else {}) | own
        return name

    def message(self, person: str, by: str, text: str) -> str:
        name = super().message(person, by, text)
        self.things[name]["from"] = {"id": by, "username": IG_NAME if by == IG else f"person{by}"}
        return name

    def arrive_own(self, text: str) -> str:
        return self.message(PEOPLE["ada"], IG, text)

    def rewrite(self, external_id: str, text: str) -> None:
        self.tick()
        self.things[external_id]["text"] = text

    def ledger(self) -> list[Standing]:
        sent = [one for one in self.things.values() if one.get("_sent")]
        return [
            Standing(one["id"], one.get("message") or one["text"], one["_sent"], Visibility.DIRECT if one["_kind"] == "message" else Visibility.PUBLIC)
            for one in sent
        ]  # fmt: skip

    def answer_get(self, path: str, query: dict[str, str]) -> Any:
        name, _, edge = path.partition("/")
        if name == IG and edge in {"media", "tags"}:
            listed = [self._counted(one) for one in self.listed("media", place=edge)]
            return self.page(listed, query, lambda one: (one["_made"],))
        if name == IG and not edge:
            return self._mentioned(query["fields"])
        if edge == "comments":
            self.thing(name)
            return self.page([self._with_answers(one) for one in self._under("")], query, lambda one: (one["_made"],))
        if edge == "replies":
            self.thing(name)
            return self.page(self._under(name), query, lambda one: (one["_made"],), up=True)
        if name in PEOPLE.values() and not edge:
            return {
                "id": name,
                "name": "Ada Lovelace",
                "username": "ada",
                "profile_pic": "https://scontent.example/ada.jpg",
            }
        return super().answer_get(path, query)

    def _under(self, name: str) -> list[Entry]:
        return self.listed("igcomment", under=name)

    def _counted(self, media: Entry) -> Entry:
        count = len(self.listed("igcomment")) if media["id"] == self.media else 0
        return media | {"comments_count": count}

    def _with_answers(self, one: Entry) -> Entry:
        return one | {"replies": {"data": [self.shown(answer) for answer in self._under(one["id"])]}}

    def _mentioned(self, fields: str) -> Entry:
        for name, said in self.mentions.items():
            if f"({name})" in fields:
                return {"id": IG, fields.partition(".")[0]: said}
        raise gone("mention")

    def answer_post(self, path: str, body: Entry, files: dict[str, bytes]) -> Any:
        name, _, edge = path.partition("/")
        if edge == "replies":
            self.thing(name)
            made = self.put_comment(IG, body["message"], name)
            self.things[made]["_sent"] = name
            return {"id": made}
        if name == IG and edge == "mentions":
            made = self.put_comment(IG, body["message"], "elsewhere")
            self.things[made]["_sent"] = body.get("comment_id") or body["media_id"]
            return {"id": made}
        if not edge and "hide" in body:
            self.thing(name)["hidden"] = body["hide"]
            return {"success": True}
        return super().answer_post(path, body, files)

    def take_message(self, body: Entry) -> Entry:
        answer = super().take_message(body)
        self.things[answer["message_id"]]["from"] = {"id": IG, "username": IG_NAME}
        return answer

    def told(self, text: str) -> Entry:
        event = super().told(text)
        event["messaging"][0]["recipient"]["id"] = IG
        return event


class FakeIgComments(FakeInstagram):
    """Comments under our media, and answers to them."""

    bring: ClassVar[dict[str, bool]] = {"comments": True}
    shows_own: bool = True
    cannot: frozenset[str] = frozenset({"dated"})
    cannot_give: Mapping[Gives, str] = {}

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        return self.put_comment(by, text, under)

    def arrive_own(self, text: str) -> str:
        return self.put_comment(IG, text)

    def arrive_broken(self) -> None:
        self.things[self.arrive("?", by="bob")]["broken"] = True

    def told(self, text: str) -> Entry:
        thing = self.things[self.arrive(text)]
        value = {
            "id": thing["id"],
            "text": text,
            "from": thing["from"],
            "media": {"id": self.media, "media_product_type": "FEED"},
        }
        return {"time": int(self.tick().timestamp()), "changes": [{"field": "comments", "value": value}]}

    def told_broken(self) -> Entry:
        return {"changes": [{"field": "comments", "value": {"text": "?"}}]}


class FakeIgTags(FakeIgComments):
    """Media of others that we are tagged in; they can be read only."""

    bring: ClassVar[dict[str, bool]] = {"mentions": True}
    shows_own: bool = False
    cannot: frozenset[str] = frozenset({"dated", "changes", "reply", "receive"})
    cannot_give: Mapping[Gives, str] = dict.fromkeys(
        (Gives.DELETIONS, Gives.EDITS), "what others published is not ours to ask for"
    ) | dict.fromkeys((Gives.ECHOES, Gives.ONCE), "what others published can be read only")

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        return self.put_media(by, text, "tags")

    def told(self, text: str) -> Entry:
        name = self.new("179")
        self.mentions[name] = {"id": name, "text": text, "timestamp": graph_time(self.tick()), "username": "ada"}
        value = {"media_id": "1800", "comment_id": name}
        return {"changes": [{"field": "mentions", "value": value}]}

    def told_broken(self) -> Entry:
        return {"changes": [{"field": "mentions", "value": {}}]}


VARIANTS: dict[str, Callable[[], FakeChannel]] = {
    "instagram-comments": FakeIgComments,
    "instagram-tags": FakeIgTags,
    "instagram-messages": FakeInstagram,
}
