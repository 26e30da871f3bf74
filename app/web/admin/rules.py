"""/admin/rules: the rules in order, in plain sentences; the first that fits decides."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import forms, registry
from app.connectors.base import PostKind
from app.connectors.forms import FormField
from app.errors import Invalid, NotFound
from app.flow.configure_rules import (
    RuleBasics,
    RuleSettings,
    change_rule,
    create_rule,
    move_rule,
    remove_rule,
    rule_settings,
)
from app.flow.configured import fingerprint
from app.flow.implied import implied
from app.flow.relaxing import read_steps, write_step
from app.flow.triage import Conditions
from app.i18n import _
from app.models.agent import Skill
from app.models.feed import Feed
from app.models.queue import Queue
from app.models.rule import Rule
from app.queries import admin
from app.routing.spans import write_span
from app.web import signal_words
from app.web.admin.pages import page, to
from app.web.edge import Db
from app.web.forms import Form, Refused, attempt, fresh, showing, typed

router = APIRouter(prefix="/admin/rules")
SKILL = "skill-"  # a field per skill: its lowest level, or empty


def kinds() -> dict[str, str]:
    """What a post can be, in words."""
    return {
        PostKind.MENTION: _("a mention"),
        PostKind.REPLY: _("a reply"),
        PostKind.DIRECT: _("a direct message"),
        PostKind.POST: _("a post found by search"),
        PostKind.COMMENT: _("a comment"),
    }


def texts() -> dict[str, FormField]:
    """The conditions and outcomes that are typed."""
    lines = _("One a line; any of them will do.")
    return {
        "author": FormField("author", _("Author's handle contains"), "text"),
        "contains": FormField("contains", _("Text contains"), "lines", help=lines),
        "matches": FormField("matches", _("Text matches the pattern"), "text", help=_("An RE2 pattern; case does not matter.")),
        "languages": FormField("languages", _("Language is"), "text", help=_("Codes, separated by commas."), example="de, pt-BR"),
        "followers_min": FormField("followers_min", _("Followers, at least"), "number", min=0),
        "followers_max": FormField("followers_max", _("Followers, at most"), "number", min=0),
        "upset_min": FormField("upset_min", _("The author is at least"), "choice", choices=(("", _("As they may be")), *signal_words.upsets().items())),
        "copy_only": FormField("copy_only", _("Only what says nearly the same as a post of the last days"), "checkbox"),
        "steps": FormField("steps", _("Needs less with time"), "lines", help=_("One a line, as in: after 2 min German 2; after 5 min without German. Times count from when an item begins to wait."), example="after 2 min German 2"),
        "tags": FormField("tags", _("Tags"), "text", help=_("Separated by commas.")),
    }  # fmt: skip


async def _names(db: AsyncSession) -> dict[str, Any]:
    return {
        "queues": await admin.names(db, Queue),
        "skills": await admin.names(db, Skill),
        "feeds": await admin.names(db, Feed),
        "channels": {name: connector.title for name, connector in registry.all().items()},
        "kinds": kinds(),
        "span": write_span,
        "intents": signal_words.intents(),
        "upsets": signal_words.upsets(),
        "urgents": signal_words.urgents(),
        "noises": signal_words.noises(),
        "personals": signal_words.personals(),
    }


async def _list_page(
    request: Request, db: AsyncSession, problem: str = "", status: HTTPStatus = HTTPStatus.OK
) -> Response:
    rules = [(rule, rule_settings(rule)) for rule in await admin.rules(db)]
    seen = {rule.id: fingerprint(settings) for rule, settings in rules}
    concerns = (await implied(db)).concerns
    shown = {"rules": rules, "seen": seen, "problem": problem, "concerns": concerns, **await _names(db)}
    return await page(request, db, "rules.html", status=status, **shown)


async def _form_page(
    request: Request, db: AsyncSession, form: Form, rule: Rule | None = None, seen: str = ""
) -> Response:
    last = await db.scalar(select(func.max(Rule.position)))
    basics = {one.name: one for one in forms.fields(RuleBasics)}
    priorities = tuple((str(p), str(p)) for p in range(1, 6))
    basics["priority"] = replace(basics["priority"], kind="choice", choices=priorities)
    return await page(
        request,
        db,
        "rule.html",
        status=form.status,
        form=form,
        rule=rule,
        fields=basics | texts(),
        open_queues=await admin.names(db, Queue, active=True),
        catches_all=last is None or (rule is not None and rule.position == last),
        seen=seen,
        **await _names(db),
    )


@router.get("")
async def listed(request: Request, db: Db) -> Response:
    """The rules in order."""
    return await _list_page(request, db)


@router.get("/new")
async def new(request: Request, db: Db) -> Response:
    """The form of a new rule."""
    return await _form_page(request, db, fresh(RuleBasics))


@router.get("/{rule_id}")
async def shown(request: Request, db: Db, rule_id: int) -> Response:
    """The form of a rule."""
    rule = await _rule(db, rule_id)
    settings = rule_settings(rule)
    return await _form_page(request, db, _stored(settings, await admin.names(db, Skill)), rule, fingerprint(settings))


@router.post("")
async def made(request: Request, db: Db) -> Response:
    """Make a rule, just before the one that catches all."""
    form = await typed(request)
    try:
        settings = _read(form, await admin.names(db, Skill))
        async with attempt(db, form):
            await create_rule(db, settings)
    except Refused:
        return await _form_page(request, db, form)
    return to("/admin/rules")


@router.put("/{rule_id}")
async def changed(request: Request, db: Db, rule_id: int) -> Response:
    """Change a rule."""
    form = await typed(request)
    try:
        settings = _read(form, await admin.names(db, Skill))
        async with attempt(db, form):
            await change_rule(db, rule_id, settings, form.text("seen"))
    except Refused:
        return await _form_page(request, db, form, await _rule(db, rule_id), form.text("seen"))
    return to("/admin/rules")


@router.put("/{rule_id}/enabled")
async def switched(request: Request, db: Db, rule_id: int) -> Response:
    """Switch a rule on or off."""
    form = await typed(request)
    settings = rule_settings(await _rule(db, rule_id))
    try:
        async with attempt(db, form):
            switch = settings.model_copy(update={"enabled": form.text("enabled") == "on"})
            await change_rule(db, rule_id, switch, form.text("seen"))
    except Refused:
        return await _list_page(request, db, " ".join(form.errors.values()), form.status)
    return to("/admin/rules")


@router.post("/{rule_id}/position")
async def moved(request: Request, db: Db, rule_id: int) -> Response:
    """Move a rule up or down."""
    form = await typed(request)
    step: Literal["up", "down"] = "up" if form.text("step") == "up" else "down"
    try:
        async with attempt(db, form):
            await move_rule(db, rule_id, step, form.number("seen"))
    except Refused:
        return await _list_page(request, db, " ".join(form.errors.values()), form.status)
    return to(f"/admin/rules#rule-{rule_id}")


@router.delete("/{rule_id}")
async def removed(request: Request, db: Db, rule_id: int) -> Response:
    """Remove a rule."""
    form = Form()
    try:
        async with attempt(db, form):
            await remove_rule(db, rule_id)
    except Refused:
        return await _list_page(request, db, " ".join(form.errors.values()), form.status)
    return to("/admin/rules")


def _read(form: Form, skills: Mapping[int, str]) -> RuleSettings:
    """The rule that the form stands for; `skills` are their names by id. Raises Refused, with an error for every field."""
    more: dict[str, Any] = {"tags": _listed(form.text("tags"), ",")}
    ids = {name: skill_id for skill_id, name in skills.items()}
    readers: tuple[tuple[str, Callable[[Form], Any]], ...] = (
        ("conditions", _conditions),
        ("queue_id", _queue),
        ("requirements", _requirements),
        ("steps", lambda form: read_steps(_listed(form.text("steps"), "\n"), ids)),
    )
    for name, read in readers:
        try:
            more[name] = read(form)
        except Invalid as error:
            form.errors[error.field or name] = error.message
    if form.errors:
        form.status = HTTPStatus.UNPROCESSABLE_ENTITY
        raise Refused
    return form.read(RuleSettings, plain=RuleBasics, **more)


def _conditions(form: Form) -> Conditions:
    given: dict[str, Any] = {
        "channels": form.chosen("channels"),
        "feeds": sorted(form.ids("feeds")),
        "kinds": form.chosen("kinds"),
        "author": form.text("author"),
        "contains": _listed(form.text("contains"), "\n"),
        "matches": form.text("matches"),
        "languages": _listed(form.text("languages"), ","),
        "followers_min": form.number("followers_min"),
        "followers_max": form.number("followers_max"),
        "intents": form.chosen("intents"),
        "upset_min": form.number("upset_min"),
        "urgent": form.chosen("urgent"),
        "noise": form.chosen("noise"),
        "personal": form.chosen("personal"),
        "copy_only": form.text("copy_only") == "on",
    }
    try:
        return Conditions.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Invalid(forms.problem(first), str(first["loc"][0])) from None


def _queue(form: Form) -> int | None:
    return form.number("queue_id")


def _requirements(form: Form) -> dict[int, int]:
    levels = {name: form.number(name) for name in form.values if name.startswith(SKILL)}
    try:
        return {int(name.removeprefix(SKILL)): level for name, level in levels.items() if level is not None}
    except ValueError:
        raise Invalid(_("Choose from the list."), "requirements") from None


def _listed(text: str, separator: str) -> list[str]:
    return [part.strip() for part in text.split(separator) if part.strip()]


def _stored(settings: RuleSettings, skills: Mapping[int, str]) -> Form:
    c = settings.conditions
    form = showing(RuleBasics(**settings.model_dump(include=set(RuleBasics.model_fields))))
    form.values = {
        **form.values,
        "author": c.author,
        "contains": "\n".join(c.contains),
        "matches": c.matches,
        "languages": ", ".join(c.languages),
        "followers_min": "" if c.followers_min is None else str(c.followers_min),
        "followers_max": "" if c.followers_max is None else str(c.followers_max),
        "upset_min": "" if c.upset_min is None else str(c.upset_min),
        "copy_only": c.copy_only,
        "tags": ", ".join(settings.tags),
        "steps": "\n".join(write_step(step, skills) for step in settings.steps),
        "queue_id": str(settings.queue_id or ""),
        **{f"{SKILL}{skill}": str(level) for skill, level in settings.requirements.items()},
    }
    form.lists = {
        "channels": c.channels,
        "feeds": [str(one) for one in c.feeds],
        "kinds": [str(one) for one in c.kinds],
        "intents": c.intents,
        "urgent": c.urgent,
        "noise": c.noise,
        "personal": c.personal,
    }
    return form


async def _rule(db: AsyncSession, rule_id: int) -> Rule:
    rule = await db.get(Rule, rule_id, populate_existing=True)
    if rule is None:
        raise NotFound(_("There is no such rule. Somebody may have removed it."))
    return rule
