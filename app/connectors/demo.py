"""Demo: the simulated network of `careline demo`, spoken to over HTTP like any other channel.

Its API is described in `app/demo/network.py`: one inbox, oldest first; posts taken once for each Idempotency-Key.
"""

import json
from typing import Annotated, Any, ClassVar, TypeVar
from urllib.parse import urlencode

import httpx
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, SecretStr, ValidationError

from app.connectors.base import (
    MOST_PARENTS,
    Batch,
    Budget,
    Capabilities,
    Check,
    Connector,
    IncomingAuthor,
    IncomingPost,
    Json,
    KnownPost,
    Length,
    Link,
    Media,
    OutgoingReply,
    Picture,
    Pictures,
    PostChange,
    PostKind,
    Rejected,
    Sent,
    SettingsModel,
    Standing,
    Visibility,
)
from app.connectors.text import storable_json
from app.connectors.wire import is_web, reaching, read_bounded, refusal, uploading
from app.errors import Malformed, Refused
from app.i18n import N_, _

_LIMIT = 500  # graphemes of a post there
_PAGES = 5  # of the inbox in one fetch
_LARGEST = 5_000_000  # bytes of one answer
_PICTURES = Pictures(most=4, bytes=2_000_000, pixels=8_000_000, alt=1000)
_REFUSALS = {httpx.codes.NOT_FOUND, httpx.codes.GONE, httpx.codes.UNPROCESSABLE_ENTITY, httpx.codes.BAD_REQUEST}


def _web_address(url: str) -> str:
    if not is_web(url):
        message = _("The address starts with https:// or http://.")
        raise ValueError(message)
    return url.rstrip("/")


class DemoSettings(SettingsModel):
    """Where the simulated network answers."""

    url: Annotated[str, AfterValidator(_web_address)] = Field(
        title=N_("Address of the network"),
        description=N_("`careline demo` starts the network and prints its address."),
        json_schema_extra={"format": "url"},
        examples=["http://127.0.0.1:40231"],
    )


class DemoCredentials(SettingsModel):
    """Our account on the simulated network."""

    token: SecretStr = Field(title=N_("Token"), description=N_("`careline demo` fills this in."), min_length=1)


class _Person(BaseModel):
    id: str
    handle: str
    name: str = ""
    url: str | None = None
    avatar: str | None = None
    followers: int | None = None


class _Medium(BaseModel):
    url: str
    alt: str = ""


class _Post(BaseModel):
    id: int
    uri: str
    thread: str
    author: _Person
    text: str
    created_at: AwareDatetime
    url: str | None = None
    in_reply_to: str | None = None
    language: str | None = None
    visibility: Visibility = Visibility.PUBLIC
    mentions_us: bool = False
    media: list[_Medium] = []


class _Inbox(BaseModel):
    me: str
    posts: list[Any]
    last: int
    more: bool


class _Change(BaseModel):
    uri: str
    text: str | None  # None: the post is gone
    at: AwareDatetime


class _Changes(BaseModel):
    changes: list[_Change]
    last: int
    more: bool


class _One(BaseModel):
    post: _Post | None


class _Parents(BaseModel):
    me: str
    posts: list[Any]


_Model = TypeVar("_Model", bound=BaseModel)


class DemoConnector(Connector):
    """Reads the inbox, answers in threads, looks its own answers up by their key."""

    name: ClassVar[str] = "demo"
    title: ClassVar[str] = N_("Demo network")
    help: ClassVar[str] = N_(
        "A simulated network whose customers write, wait, get impatient, answer back and thank. "
        "It runs inside `careline demo`; there is nothing to create."
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        reply=True,
        direct=True,
        edit=True,
        delete=True,
        threads=True,
        idempotent=True,
        find_sent=True,
        parents=True,
        visibilities=(Visibility.PUBLIC, Visibility.DIRECT),
        length_limit=_LIMIT,
        length_counts=Length.GRAPHEMES,
        pictures=_PICTURES,
    )
    Settings: ClassVar[type[SettingsModel]] = DemoSettings
    Credentials: ClassVar[type[SettingsModel] | None] = DemoCredentials

    async def check(self, link: Link) -> Check:
        """Ask who we are and read the oldest page of the inbox."""
        said, _ = await _call(link, "GET", "/api/me")
        me = _author(_shaped(_Person, said))
        inbox, _ = await _inbox(link, 0)
        posts, _ = _read(inbox)
        return Check(
            message=N_("Connected as %(me)s (@%(handle)s).") % {"me": me.name, "handle": me.handle},
            account=me,
            sample=posts[0] if posts else None,
        )

    async def fetch(self, link: Link, cursor: Json) -> Batch:
        """Go on after the last post that was read. Ids only grow there, so nothing can slip in behind."""
        after, more, budget = int(cursor.get("after", 0)), True, None
        posts: list[IncomingPost] = []
        rejected: list[Rejected] = []
        for _turn in range(_PAGES):
            inbox, budget = await _inbox(link, after)
            found, broken = _read(inbox)
            posts += found
            rejected += broken
            after, more = inbox.last, inbox.more
            if not more:
                break
        posts.sort(key=lambda post: post.posted_at)
        said, budget = await _call(link, "GET", "/api/changes?" + urlencode({"after": int(cursor.get("changed", 0))}))
        told = _shaped(_Changes, said)
        return Batch(
            posts=tuple(posts),
            cursor={"after": after, "changed": told.last},
            more=more or told.more,
            rejected=tuple(rejected),
            budget=budget,
            changes=tuple(
                PostChange(one.uri, one.at, deleted=one.text is None, text=one.text or "") for one in told.changes
            ),
        )

    async def parents(self, link: Link, post: KnownPost) -> tuple[IncomingPost, ...]:
        """What stands above a post, in one call."""
        path = f"/api/posts/{int(post.ref['id'])}/parents?" + urlencode({"limit": MOST_PARENTS})
        said, _ = await _call(link, "GET", path)
        posts, _ = _read(_shaped(_Parents, said))
        return tuple(posts)

    def stands_in(self, ours: IncomingAuthor, addressed: IncomingAuthor) -> bool:
        """Everybody can: there is one network."""
        return True

    async def send(self, link: Link, reply: OutgoingReply) -> Sent:
        """Post under the reply's key; a repeat gives the post that already stands."""
        direct = Visibility.DIRECT in {reply.visibility, reply.to.get("visibility")}
        body = {
            "text": reply.text,
            "in_reply_to": reply.after.get("id", reply.to.get("id")),
            "visibility": Visibility.DIRECT.value if direct else Visibility.PUBLIC.value,
        }
        if reply.pictures:
            body["media"] = [await _upload(link, picture) for picture in reply.pictures]
        said, budget = await _call(link, "POST", "/api/posts", body=body, key=reply.key)
        post = _shaped(_One, said).post
        if post is None:
            raise Malformed(N_("The demo network took the reply without saying where it stands."))
        return _sent(post, budget)

    async def find_sent(self, link: Link, reply: OutgoingReply) -> Sent | None:
        """Ask for our post with the reply's key."""
        said, budget = await _call(link, "GET", "/api/sent?" + urlencode({"key": reply.key}))
        post = _shaped(_One, said).post
        return _sent(post, budget) if post else None

    async def edit(self, link: Link, reply: Standing, text: str) -> None:
        """Have our post say something else; the network keeps its pictures."""
        await _call(link, "PUT", _place(reply), body={"text": text})

    async def delete(self, link: Link, reply: Standing) -> None:
        """Delete our post; the network knows no difference between one that goes and one that is gone."""
        await _call(link, "DELETE", _place(reply))


def _place(reply: Standing) -> str:
    """Where the network answers for our post, whose number ends its id."""
    return f"/api/posts/{int(reply.external_id.rpartition('/')[2])}"


async def _upload(link: Link, picture: Picture) -> Json:
    """Bring a picture; the same content is the same picture there."""
    with uploading():
        said, _ = await _call(link, "POST", "/api/media", content=picture.content)
    return {"id": said.get("id"), "alt": picture.alt}


async def _call(
    link: Link, method: str, path: str, *, body: Json | None = None, key: str = "", content: bytes | None = None
) -> tuple[Json, Budget | None]:
    """One request and its JSON answer."""
    changing = method != "GET"
    what, url = "The demo network", link.settings.url + path
    headers = {"authorization": f"Bearer {link.credentials.token.get_secret_value()}"}
    if key:
        headers["idempotency-key"] = key
    with reaching(what, sending=changing):
        async with link.http.stream(method, url, headers=headers, json=body, content=content) as response:
            answer = await read_bounded(response, _LARGEST, what)
    if changing and response.status_code in _REFUSALS:
        raise Refused(N_("The demo network does not take the reply: %(content)s") % {"content": _words(answer)})
    error = refusal(response, what, link.now)
    if error is not None:
        raise error
    return _json(answer, url), _budget(response.headers)


def _json(content: bytes, url: str) -> Json:
    try:
        said = storable_json(json.loads(content))
    except (ValueError, RecursionError) as error:
        raise Malformed(
            N_("%(url)s does not answer with JSON. Is it the address of a demo network?") % {"url": url}
        ) from error
    if not isinstance(said, dict):
        raise Malformed(
            N_("%(url)s answers with JSON that is no object. Is it the address of a demo network?") % {"url": url}
        )
    return said


def _words(content: bytes) -> str:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return N_("it does not say why.")
    return str(said.get("error") or said) if isinstance(said, dict) else N_("it does not say why.")


def _budget(headers: httpx.Headers) -> Budget | None:
    try:
        return Budget(int(headers["x-ratelimit-remaining"]), int(headers["x-ratelimit-limit"]))
    except (KeyError, ValueError):
        return None


async def _inbox(link: Link, after: int) -> tuple[_Inbox, Budget | None]:
    said, budget = await _call(link, "GET", "/api/inbox?" + urlencode({"after": after}))
    return _shaped(_Inbox, said), budget


def _shaped(model: type[_Model], said: Json) -> _Model:
    try:
        return model.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Malformed(
            N_("The demo network's answer lacks %(field)s: %(problem)s.")
            % {"field": first["loc"], "problem": first["msg"]}
        ) from error


def _read(inbox: _Inbox | _Parents) -> tuple[list[IncomingPost], list[Rejected]]:
    posts: list[IncomingPost] = []
    rejected: list[Rejected] = []
    for raw in inbox.posts:
        payload = raw if isinstance(raw, dict) else {"entry": raw}
        try:
            posts.append(_incoming(_Post.model_validate(raw), inbox.me, payload))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            rejected.append(Rejected(str(payload.get("uri") or payload.get("id") or reason), reason, payload))
    return posts, rejected


def _incoming(post: _Post, me: str, payload: Json) -> IncomingPost:
    return IncomingPost(
        external_id=post.uri,
        thread_id=post.thread,
        author=_author(post.author),
        text=post.text,
        posted_at=post.created_at,
        kind=_kind(post),
        visibility=post.visibility,
        url=post.url,
        language=post.language,
        in_reply_to=post.in_reply_to,
        own=post.author.id == me,
        media=tuple(Media("image", medium.url, medium.alt) for medium in post.media),
        ref={"id": post.id, "visibility": post.visibility.value},
        payload=payload,
    )


def _kind(post: _Post) -> PostKind:
    if post.visibility is Visibility.DIRECT:
        return PostKind.DIRECT
    if post.in_reply_to:
        return PostKind.REPLY
    return PostKind.MENTION if post.mentions_us else PostKind.POST


def _author(who: _Person) -> IncomingAuthor:
    return IncomingAuthor(
        external_id=f"townsquare:{who.id}",
        handle=who.handle,
        name=who.name,
        url=who.url,
        avatar_url=who.avatar,
        followers=who.followers,
    )


def _sent(post: _Post, budget: Budget | None) -> Sent:
    ref = {"id": post.id, "visibility": post.visibility.value}
    return Sent(external_id=post.uri, url=post.url, posted_at=post.created_at, ref=ref, budget=budget)
