"""A Facebook Page: its posts, what is written under them and about it, and its Messenger conversations."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from app.connectors import registry
from app.connectors.base import Connector, SettingsModel, Visibility
from app.connectors.facebook import FacebookSettings
from app.connectors.meta_account import PageCredentials
from app.connectors.testing import Gives
from app.connectors.testing.fake import FakeChannel, Standing
from tests.connectors.fakes.meta import (
    APP,
    PAGE,
    PAGE_NAME,
    SECRET,
    TOKEN,
    USER_TOKEN,
    VERIFY,
    Entry,
    FakeGraph,
    GraphError,
    gone,
    graph_time,
)

NOTHING = {"comments": False, "posts": False, "mentions": False, "recommendations": False, "messages": False}
PEOPLE = {"ada": "2001", "bob": "2002", "cleo": "2003"}


def credentials(**changes: Any) -> PageCredentials:
    """An account that signed in and whose Page is known."""
    given = {
        "client_id": APP,
        "client_secret": SECRET,
        "page": PAGE,
        "system_token": USER_TOKEN,
        "verify_token": VERIFY,
    }
    held = PageCredentials.model_validate(given | changes)
    known = {"page_token": TOKEN, "page_id": PAGE, "page_name": PAGE_NAME, "page_token_of": held.origin}
    return PageCredentials.model_validate(held.model_dump() | {"system_token": held.base} | given | known | changes)


class FakePage(FakeGraph):
    """The Page with one post of its own; a variant says what its feed brings and what arrives."""

    connector: ClassVar[Connector] = registry.get("facebook")
    bring: ClassVar[dict[str, bool]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.post = self.put(f"{PAGE}_1", "post", PAGE, "Our winter sale has begun", place="feed")
        self.tick()

    def settings(self) -> SettingsModel:
        return FacebookSettings.model_validate(NOTHING | self.bring)

    def credentials(self) -> PageCredentials:
        return credentials()

    # -- what stands there

    def put(self, name: str, kind: str, by: str, text: str, **ours: Any) -> str:
        at = graph_time(self.now)
        person = {"id": by, "name": PAGE_NAME if by == PAGE else f"Person {by}"}
        link = f"https://www.facebook.com/{name}"
        thing = {
            "id": name,
            "message": text,
            "created_time": at,
            "updated_time": at,
            "from": person,
            "permalink_url": link,
        }
        own = {"_kind": kind, "_made": self.made, "_at": self.now} | {f"_{key}": value for key, value in ours.items()}
        self.things[name] = thing | own
        return name

    def comment(self, on: str, by: str, text: str, under: str | None = None) -> str:
        """A comment under a post, or an answer under a comment."""
        self.tick()
        name = self.put(self.new(f"{on.rsplit('_', maxsplit=1)[-1]}_"), "comment", by, text, on=on, under=under or "")
        if under:
            self.things[name]["parent"] = {"id": under}
        self.things[on]["updated_time"] = graph_time(self.now)
        return name

    def message(self, person: str, by: str, text: str) -> str:
        self.tick()
        return self.put(self.new("m_"), "message", by, text, person=person)

    def rewrite(self, external_id: str, text: str) -> None:
        self.tick()
        self.things[external_id]["message"] = text

    def remove(self, external_id: str) -> None:
        del self.things[external_id]

    def ledger(self) -> list[Standing]:
        own = [one for one in self.things.values() if one.get("from", {}).get("id") == PAGE and one["_made"]]
        return [self._standing(one) for one in own if one.get("_sent")]

    def _standing(self, one: Entry) -> Standing:
        direct = one["_kind"] == "message"
        return Standing(one["id"], one["message"], one["_sent"], Visibility.DIRECT if direct else Visibility.PUBLIC)

    # -- the surface

    def answer_get(self, path: str, query: dict[str, str]) -> Any:
        name, _, edge = path.partition("/")
        lists = {"feed": ("post", "feed"), "visitor_posts": ("post", "visitors"), "tagged": ("post", "tagged")}
        if name == PAGE and edge in lists:
            kind, place = lists[edge]
            return self._with_counts(self.page(self.listed(kind, place=place), query, _made))
        if name == PAGE and edge == "ratings":
            return self.page([self._rating(one) for one in self.listed("rating")], query, lambda one: (one["_made"],))
        if name == PAGE and edge == "conversations":
            return self.conversations(query)
        if edge == "comments":
            return self._comments(name, query)
        if edge == "messages":
            return self.page(self.messages_of(name.removeprefix("t_")), query, _made)
        return super().answer_get(path, query)

    def _with_counts(self, answer: Entry) -> Entry:
        for one in answer["data"]:
            under = [c for c in self.listed("comment") if c["_on"] == one.get("id")]
            one["comments"] = {"data": [], "summary": {"total_count": len(under)}}
        return answer

    def _rating(self, one: Entry) -> Entry:
        told = {"created_time": one["created_time"], "_made": one["_made"]}
        if one.get("broken"):
            return told
        return told | {
            "recommendation_type": "negative",
            "review_text": one["message"],
            "reviewer": one["from"],
            "open_graph_story": {"id": one["id"]},
        }

    def _comments(self, name: str, query: dict[str, str]) -> Entry:
        parent = self.thing(name)
        if parent["_kind"] == "comment":
            found = [one for one in self.listed("comment") if one["_under"] == name]
        else:
            found = [
                one for one in self.listed("comment", on=name) if query.get("filter") == "stream" or not one["_under"]
            ]
        if since := query.get("since"):
            found = [one for one in found if one["_at"].timestamp() >= float(since)]
        return self.page(found, query, _made, up=query.get("order") != "reverse_chronological")

    def conversations(self, query: dict[str, str]) -> Entry:
        """One conversation for each person, the one that was written in last first."""
        people = {one["_person"] for one in self.listed("message")}
        rows = [self._conversation(person) for person in people if query.get("user_id") in {None, person}]
        return self.page(rows, query | {"limit": "5"}, lambda one: (one["_latest"],))

    def _conversation(self, person: str) -> Entry:
        told = self.messages_of(person)
        newest = max(told, key=_made)
        return {
            "id": f"t_{person}",
            "updated_time": newest["created_time"],
            "messages": self.page(told, {"limit": "25"}, _made),
            "_latest": newest["_made"],
        }

    def messages_of(self, person: str) -> list[Entry]:
        return self.listed("message", person=person)

    def shown(self, thing: Entry) -> Entry:
        answer = super().shown(thing)
        if thing.get("_kind") == "message":
            people = [{"id": PAGE, "name": PAGE_NAME}, {"id": thing["_person"], "name": f"Person {thing['_person']}"}]
            answer["to"] = {"data": [one for one in people if one["id"] != thing["from"]["id"]]}
        if thing.get("broken"):
            answer.pop("id", None)
        return answer

    def answer_post(self, path: str, body: Entry, files: dict[str, bytes]) -> Any:
        name, _, edge = path.partition("/")
        if edge == "comments":
            parent = self.thing(name)
            on = parent["_on"] if parent["_kind"] == "comment" else name
            made = self.comment(on, PAGE, body["message"], name if parent["_kind"] == "comment" else None)
            self.things[made]["_sent"] = name
            return {"id": made}
        if name == PAGE and edge == "messages":
            return self.take_message(body)
        if not edge and "is_hidden" in body:
            self.thing(name)["is_hidden"] = body["is_hidden"]
            return {"success": True}
        return super().answer_post(path, body, files)

    def take_message(self, body: Entry) -> Entry:
        """A message: within 24 hours, later under a tag, or once in private to a comment."""
        to = body["recipient"]
        answered = to.get("comment_id") or to.get("post_id")
        if answered:
            person, about = self.thing(answered)["from"]["id"], answered
            if self.things[answered].get("_answered"):
                raise GraphError(10900, None, "(#10900) Activity already replied to")
            self.things[answered]["_answered"] = True
        else:
            person = to["id"]
            theirs = [one for one in self.messages_of(person) if one["from"]["id"] == person]
            if not theirs:
                raise gone(person)
            about = theirs[-1]["id"]
            self._require_open(theirs[-1]["_at"], body)
        name = self.message(person, PAGE, body["message"]["text"])
        self.things[name]["_sent"] = about
        return {"recipient_id": person, "message_id": name}

    def _require_open(self, at: datetime, body: Entry) -> None:
        age = self.now - at
        tagged = body.get("messaging_type") == "MESSAGE_TAG" and body.get("tag") == "HUMAN_AGENT"
        if age > timedelta(days=7 if tagged else 1):
            raise GraphError(10, 2018278, "(#10) This message is sent outside of allowed window.")

    def change(self, name: str, item: str, verb: str = "add", field: str = "feed") -> Entry:
        """What a delivery says of a comment or post."""
        thing = self.things[name]
        on = thing.get("_on") or name
        value = {
            "item": item,
            "verb": verb,
            "post_id": on,
            "created_time": int(thing["_at"].timestamp()),
            "from": thing["from"],
            "message": thing["message"],
            "post": {"id": on, "permalink_url": f"https://www.facebook.com/{on}", "status_type": "added_photos"},
        }
        if item == "comment":
            value |= {"comment_id": name, "parent_id": thing["_under"] or on}
        return {"changes": [{"field": field, "value": value}]}


def _made(one: Entry) -> tuple[Any, ...]:
    return (one["_made"],)


class FakeComments(FakePage):
    """Comments under the Page's posts."""

    bring: ClassVar[dict[str, bool]] = {"comments": True}
    shows_own: bool = True

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        return self.comment(self.post, PEOPLE[by], text, under)

    def arrive_own(self, text: str) -> str:
        return self.comment(self.post, PAGE, text)

    def arrive_broken(self) -> None:
        self.things[self.comment(self.post, PEOPLE["bob"], "?")]["broken"] = True

    def told(self, text: str) -> Entry:
        return self.change(self.arrive(text), "comment")

    def told_broken(self) -> Entry:
        return {"changes": [{"field": "feed", "value": {"item": "comment", "verb": "add", "message": "?"}}]}


class FakeWall(FakeComments):
    """Visitors' posts."""

    bring: ClassVar[dict[str, bool]] = {"posts": True}
    shows_own: bool = False
    place: ClassVar[str] = "visitors"

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        self.tick()
        return self.put(self.new(f"{PAGE}_"), "post", PEOPLE[by], text, place=self.place)

    def arrive_broken(self) -> None:
        self.things[self.arrive("?", by="bob")]["broken"] = True

    def told(self, text: str) -> Entry:
        return self.change(self.arrive(text), "post")

    def told_broken(self) -> Entry:
        return {"changes": [{"field": "feed", "value": {"item": "post", "verb": "add", "message": "?"}}]}


class FakeTags(FakeWall):
    """Posts of others that tag the Page."""

    bring: ClassVar[dict[str, bool]] = {"mentions": True}
    place: ClassVar[str] = "tagged"

    def told(self, text: str) -> Entry:
        return self.change(self.arrive(text), "post", field="mention")

    def told_broken(self) -> Entry:
        return {"changes": [{"field": "mention", "value": {"item": "post", "verb": "add", "message": "?"}}]}


class FakeRatings(FakeWall):
    """Recommendations."""

    bring: ClassVar[dict[str, bool]] = {"recommendations": True}
    cannot: frozenset[str] = frozenset({"dated", "changes"})
    cannot_give: Mapping[Gives, str] = dict.fromkeys(
        (Gives.DELETIONS, Gives.EDITS), "recommendations cannot be asked for one by one"
    )

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        self.tick()
        return self.put(self.new("77"), "rating", PEOPLE[by], text)

    def told(self, text: str) -> Entry:
        thing = self.things[self.arrive(text)]
        value = {
            "item": "rating",
            "verb": "add",
            "open_graph_story_id": thing["id"],
            "created_time": int(thing["_at"].timestamp()),
            "recommendation_type": "NEGATIVE",
            "review_text": text,
            "reviewer_id": thing["from"]["id"],
            "reviewer_name": thing["from"]["name"],
        }
        return {"changes": [{"field": "ratings", "value": value}]}

    def told_broken(self) -> Entry:
        return {"changes": [{"field": "ratings", "value": {"item": "rating", "verb": "add", "review_text": "?"}}]}


class FakeMessenger(FakePage):
    """Messages to the Page."""

    bring: ClassVar[dict[str, bool]] = {"messages": True}
    shows_own: bool = True
    cannot: frozenset[str] = frozenset({"dated", "changes", "delete", "parents"})
    cannot_give: Mapping[Gives, str] = dict.fromkeys(
        (Gives.DELETIONS, Gives.EDITS), "messages tell it by deliveries alone, not when they are polled"
    )

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        person = PEOPLE.get(by) or self.new("3")
        return self.message(person, person, text)

    def arrive_own(self, text: str) -> str:
        return self.message(PEOPLE["ada"], PAGE, text)

    def arrive_broken(self) -> None:
        self.things[self.arrive("?", by="bob")]["broken"] = True

    def told(self, text: str) -> Entry:
        thing = self.things[self.arrive(text)]
        event = {
            "sender": {"id": thing["_person"]},
            "recipient": {"id": PAGE},
            "timestamp": int(thing["_at"].timestamp() * 1000),
            "message": {"mid": thing["id"], "text": text},
        }
        return {"messaging": [event]}

    def told_broken(self) -> Entry:
        return {"messaging": [{"sender": {"id": "2001"}, "message": {"text": "?"}}]}


class FakeAll(FakeMessenger):
    """Everything that a feed can bring, messages and comments in turn."""

    bring: ClassVar[dict[str, bool]] = dict.fromkeys(NOTHING, True)
    shows_direct: bool = True
    cannot: frozenset[str] = frozenset({"dated"})
    cannot_give: Mapping[Gives, str] = {}

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        if direct:
            return self.message(PEOPLE[by], PEOPLE[by], text)
        return self.comment(self.post, PEOPLE[by], text, under)

    def arrive_broken(self) -> None:
        self.things[self.comment(self.post, PEOPLE["bob"], "?")]["broken"] = True

    def told(self, text: str) -> Entry:
        return self.change(self.arrive(text), "comment")


VARIANTS: dict[str, Callable[[], FakeChannel]] = {
    "facebook-comments": FakeComments,
    "facebook-posts": FakeWall,
    "facebook-mentions": FakeTags,
    "facebook-recommendations": FakeRatings,
    "facebook-messages": FakeMessenger,
    "facebook-all": FakeAll,
}
