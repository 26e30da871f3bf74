"""/admin/feeds: sources and how they are; a form drawn from the connector's own model; what is quarantined."""

from dataclasses import replace
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import forms, registry
from app.connectors.base import Check, Connector
from app.connectors.forms import FormField
from app.connectors.webhook import WebhookConnector
from app.errors import NotFound
from app.flow.configure_feed import (
    FeedBasics,
    FeedSettings,
    change_feed,
    create_feed,
    drop_quarantined,
    enable_feed,
    feed_settings,
    poll_now,
    retry_quarantined,
)
from app.flow.configured import fingerprint
from app.flow.hook import hook_of, takes_deliveries
from app.flow.house import House
from app.flow.link import HOOKS
from app.flow.sheet import Encoding
from app.i18n import _
from app.models.account import Account
from app.models.feed import Feed
from app.queries import admin
from app.queries.budgets import budgets
from app.queries.feeds import backlogs, feeds, quarantined
from app.queries.imports import imports_of
from app.web.admin import house
from app.web.admin.health import told
from app.web.admin.imports import states
from app.web.admin.pages import page, to
from app.web.admin.probe import probe_stored, probe_typed
from app.web.admin.rules import kinds
from app.web.edge import Db
from app.web.forms import Form, Refused, attempt, fresh, showing, typed
from app.web.templating import render

router = APIRouter(prefix="/admin/feeds")
OWN = "s-"  # the connector's own settings carry this before their names


async def _list_page(request: Request, db: AsyncSession, form: Form | None = None) -> Response:
    form = form or Form()
    lines = await _lines(db)
    return await page(request, db, "feeds.html", status=form.status, form=form, broken=registry.broken(), **lines)


async def _lines(db: AsyncSession) -> dict[str, Any]:
    titles = {name: connector.title for name, connector in registry.all().items()}
    lines = await feeds(db)
    return {"lines": [(line, told(line)) for line in lines], "titles": titles, "backlogs": await backlogs(db, lines)}


async def _form_page(
    request: Request,
    db: AsyncSession,
    connector: Connector,
    form: Form,
    *,
    feed: Feed | None = None,
    check: Check | None = None,
    seen: str = "",
    preview: house.Preview | None = None,
) -> Response:
    line = (await feeds(db, feed.id))[0] if feed else None
    address = f"{request.app.state.settings.base_url}/forms/{feed.id}" if feed else ""
    return await page(
        request,
        db,
        "feed.html",
        status=form.status,
        connector=connector,
        form=form,
        basics={one.name: one for one in forms.fields(FeedBasics)},
        own=[_own(one) for one in forms.fields(connector.Settings)],
        accounts=await admin.accounts(db, connector.accounts_of or connector.name) if connector.Credentials else None,
        feed=feed,
        line=line,
        told=told(line) if line else None,
        budgets=await budgets(db, line.purse) if line else [],
        check=check,
        quarantined=await quarantined(db, feed.id) if feed else [],
        hook=await _hook(request, db, feed) if feed and _pasted(connector) else "",
        form_page=address if connector.capabilities.typed else "",
        form_frame=_frame(address, feed) if feed and connector.capabilities.typed else "",
        seen=seen,
        house_fields=house.fields(),
        kinds=kinds(),
        left_out=await house.told(db, feed.id) if feed else {"counts": {}, "last": []},
        preview=preview,
        imports=await imports_of(db, feed.id) if feed and feed.channel == WebhookConnector.name else None,
        encodings=list(Encoding),
        import_states=states(),
    )


def _frame(address: str, feed: Feed) -> str:
    """The HTML that shows a feed's own form in somebody's page."""
    title = escape(str(feed.settings.get("title", "")))
    return f'<iframe src="{address}?embed=1" title="{title}" width="100%" height="720" loading="lazy"></iframe>'


def _pasted(connector: Connector) -> bool:
    """Whether a person gives the address for deliveries to the sender: without an account it is arranged by program."""
    return connector.Credentials is not None and takes_deliveries(connector.capabilities)


async def _hook(request: Request, db: AsyncSession, feed: Feed) -> str:
    account = await db.get(Account, feed.account_id) if feed.account_id is not None else None
    key = await hook_of(db, feed, account.app if account else "")
    return f"{request.app.state.settings.base_url}{HOOKS}/{key}"


@router.get("")
async def listed(request: Request, db: Db) -> Response:
    """All feeds and how they are."""
    return await _list_page(request, db)


@router.get("/health")
async def health(request: Request, db: Db) -> Response:
    """How all feeds are: the live part of the list."""
    return render(request, "admin/feeds_health.html", **await _lines(db))


@router.get("/new")
async def new(request: Request, db: Db, channel: str = "", account: str = "") -> Response:
    """Choose a connector, then fill its form, for an account perhaps."""
    if not channel:
        return await page(request, db, "connectors.html", connectors=registry.all(), broken=registry.broken())
    connector = registry.get(channel)
    form = _blank(connector)
    form.values = {**form.values, "account_id": account}
    return await _form_page(request, db, connector, form)


@router.post("")
async def made(request: Request, db: Db) -> Response:
    """Make a feed; or try the connection with what was typed, and keep nothing."""
    form = await typed(request)
    connector = registry.get(form.text("channel"))
    try:
        settings = _read(form, connector)
        if form.text("do") == "check":
            check = await probe_typed(request, db, form, connector, settings)
            async with request.app.state.sessions() as after:  # the probe has ended the transaction
                return await _form_page(request, after, connector, form, check=check)
        async with attempt(db, form):
            feed = await create_feed(db, connector.name, settings)
    except Refused:
        return await _form_page(request, db, connector, _prefixed(form, connector))
    return to(f"/admin/feeds/{feed.id}")


@router.get("/{feed_id}")
async def shown(request: Request, db: Db, feed_id: int) -> Response:
    """How a feed is, its form, and its quarantine."""
    feed = await _feed(db, feed_id)
    seen = fingerprint(feed_settings(feed))
    return await _form_page(request, db, registry.get(feed.channel), _stored(feed), feed=feed, seen=seen)


@router.get("/{feed_id}/health")
async def health_of(request: Request, db: Db, feed_id: int) -> Response:
    """How a feed is: the live part of its page, which leaves its form alone."""
    feed = await _feed(db, feed_id)
    line = (await feeds(db, feed.id))[0]
    left = await budgets(db, line.purse)
    return render(request, "admin/feed_health.html", line=line, told=told(line), budgets=left)


@router.put("/{feed_id}")
@router.post("/{feed_id}")
async def changed(request: Request, db: Db, feed_id: int) -> Response:
    """Change a feed."""
    form = await typed(request)
    feed = await _feed(db, feed_id)
    connector = registry.get(feed.channel)
    try:
        settings = _read(form, connector)
        if form.text("do") == "preview":
            seen, preview = form.text("seen"), await house.preview(db, feed_id, settings.house)
            return await _form_page(request, db, connector, form, feed=feed, seen=seen, preview=preview)
        async with attempt(db, form):
            await change_feed(db, feed_id, settings, form.text("seen"))
    except Refused:
        feed = await _feed(db, feed_id)
        return await _form_page(request, db, connector, _prefixed(form, connector), feed=feed, seen=form.text("seen"))
    return to(f"/admin/feeds/{feed_id}")


@router.put("/{feed_id}/enabled")
async def switched(request: Request, db: Db, feed_id: int) -> Response:
    """Switch a feed on or off."""
    form = await typed(request)
    await enable_feed(db, feed_id, form.text("enabled") == "on")
    return to(f"/admin/feeds/{feed_id}")


@router.post("/{feed_id}/polls")
async def polled(request: Request, db: Db, feed_id: int) -> Response:
    """Ask for a poll at once."""
    return await _do(request, db, feed_id, poll_now(db, feed_id))


@router.post("/{feed_id}/check")
async def checked(request: Request, db: Db, feed_id: int) -> Response:
    """Try the stored connection: who we are there, and one real post. Changes nothing but what we know of ourselves."""
    feed = await _feed(db, feed_id)
    form, seen = _stored(feed), fingerprint(feed_settings(feed))
    check = await probe_stored(request, db, form, feed)
    async with request.app.state.sessions() as after:  # the probe has ended the transaction
        return await _form_page(request, after, registry.get(feed.channel), form, feed=feed, check=check, seen=seen)


@router.post("/{feed_id}/quarantine/{quarantine_id}/retry")
async def retried(request: Request, db: Db, feed_id: int, quarantine_id: int) -> Response:
    """Try a quarantined post again."""
    return await _do(request, db, feed_id, retry_quarantined(db, feed_id, quarantine_id))


@router.delete("/{feed_id}/quarantine/{quarantine_id}")
async def dropped(request: Request, db: Db, feed_id: int, quarantine_id: int) -> Response:
    """Nobody needs a quarantined post any more."""
    return await _do(request, db, feed_id, drop_quarantined(db, feed_id, quarantine_id))


async def _do(request: Request, db: AsyncSession, feed_id: int, verb: Any) -> Response:
    form = Form()
    try:
        async with attempt(db, form):
            await verb
    except Refused:
        feed = await _feed(db, feed_id)
        shown_ = replace_errors(_stored(feed), form)
        seen = fingerprint(feed_settings(feed))
        return await _form_page(request, db, registry.get(feed.channel), shown_, feed=feed, seen=seen)
    return to(f"/admin/feeds/{feed_id}")


def replace_errors(form: Form, other: Form) -> Form:
    """The first form with what went wrong in the other."""
    return replace(form, errors=other.errors, status=other.status)


def _own(one: FormField) -> FormField:
    return replace(one, name=OWN + one.name)


def _blank(connector: Connector) -> Form:
    form = fresh(FeedBasics)
    own = {OWN + one.name: one.default for one in forms.fields(connector.Settings)}
    form.values = {**form.values, **own, **house.shown(House())[0], "name": connector.title}
    return form


def _stored(feed: Feed) -> Form:
    settings = feed_settings(feed)
    connector = registry.get(feed.channel)
    form = showing(FeedBasics(**settings.model_dump(include=set(FeedBasics.model_fields))))
    own = forms.shown(connector.Settings.model_validate(feed.settings))
    account = "" if feed.account_id is None else str(feed.account_id)
    rules, ticked = house.shown(settings.house)
    form.values = {**form.values, "account_id": account, **{OWN + name: value for name, value in own.items()}, **rules}
    form.lists = ticked
    return form


def _read(form: Form, connector: Connector) -> FeedSettings:
    """The feed that the form stands for. Raises Refused, with an error for every field."""
    own = Form(values={k.removeprefix(OWN): v for k, v in form.values.items() if k.startswith(OWN)})
    checked_ = None
    try:
        checked_ = own.read(connector.Settings)
    except Refused:
        form.errors.update({OWN + name if name else "": words for name, words in own.errors.items()})
        form.status = own.status
    account = form.number("account_id") if connector.Credentials else None
    asked = house.read(form)
    settings = form.read(
        FeedSettings,
        plain=FeedBasics,
        account_id=account,
        settings=checked_.model_dump(mode="json") if checked_ else {},
        house=asked or House(),
    )
    if form.errors:
        raise Refused
    return settings


def _prefixed(form: Form, connector: Connector) -> Form:
    """Errors that a verb named by the connector's own field stand beside that field."""
    own = connector.Settings.model_fields.keys()
    form.errors = {OWN + name if name in own else name: words for name, words in form.errors.items()}
    return form


async def _feed(db: AsyncSession, feed_id: int) -> Feed:
    feed = await db.get(Feed, feed_id, populate_existing=True)
    if feed is None:
        raise NotFound(_("There is no such feed."))
    return feed
