"""Forms of the admin pages: what was typed is kept, and each field shows its own error."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import Request
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData, UploadFile

from app.connectors import forms
from app.connectors.base import SettingsModel
from app.connectors.forms import FormField
from app.errors import Invalid, Misuse, NotFound
from app.i18n import _

Model = TypeVar("Model", bound=SettingsModel)


def line_ends(text: str) -> str:
    """A form sends line ends as CR LF (HTML, 4.10.21.4); a channel would count them twice."""
    return text.replace("\r\n", "\n")


class Refused(Exception):
    """The form is drawn again: the errors stand in it."""


@dataclass(slots=True)
class Form:
    """What stands in a form's fields, and what is wrong with them. The key "" is about the form as a whole."""

    values: Mapping[str, str | bool] = field(default_factory=dict)
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    status: HTTPStatus = HTTPStatus.OK

    def value(self, name: str, default: str | bool = "") -> str | bool:
        """What stands in a field."""
        return self.values.get(name, default)

    def chosen(self, name: str) -> Sequence[str]:
        """What is ticked in a group of boxes."""
        return self.lists.get(name, ())

    def text(self, name: str) -> str:
        """What was typed into a field; empty when nothing was."""
        found = self.values.get(name, "")
        return found if isinstance(found, str) else "on" if found else ""

    def ids(self, name: str) -> frozenset[int]:
        """The ticked ids. Raises Invalid for what is none."""
        try:
            return frozenset(int(one) for one in self.chosen(name))
        except ValueError:
            raise Invalid(_("Choose from the list."), name) from None

    def number(self, name: str) -> int | None:
        """A whole number, or None for an empty field. Raises Invalid for what is none."""
        typed = self.text(name).strip()
        try:
            return int(typed) if typed else None
        except ValueError:
            raise Invalid(_("This is not a whole number."), name) from None

    def read(
        self,
        model: type[Model],
        *,
        kept: SettingsModel | None = None,
        plain: type[SettingsModel] | None = None,
        **more: Any,
    ) -> Model:
        """The model that the form stands for. `plain` has those of its fields that are plain ones, `more` the rest.

        Raises:
            Refused: with an error for every field that is not acceptable.
        """
        texts = {name: self.text(name) for name in self.values}
        try:
            return model.model_validate({**forms.filled(plain or model, texts, kept), **more})
        except ValidationError as error:
            self.errors.update(problems(model, error))
            self.status = HTTPStatus.UNPROCESSABLE_ENTITY
            raise Refused from None


def problems(model: type[SettingsModel], error: ValidationError) -> dict[str, str]:
    """The first problem of each field, in words."""
    said: dict[str, str] = {}
    for one in error.errors(include_url=False):
        name = str(one["loc"][0]) if one["loc"] else ""
        empty = one["type"] == "string_too_short" and not one["input"]
        words = _("This is needed.") if empty else forms.problem(one)
        said.setdefault(name if name in model.model_fields else "", words)
    return said


async def typed(request: Request) -> Form:
    """What the browser sent. A name that comes several times is a list."""
    sent: FormData = await request.form()
    texts = [(name, value) for name, value in sent.multi_items() if not isinstance(value, UploadFile)]
    return Form(values=dict(texts), lists={name: [v for n, v in texts if n == name] for name, _value in texts})


def showing(model: SettingsModel, **lists: Sequence[str]) -> Form:
    """A form that shows stored settings."""
    return Form(values=forms.shown(model), lists=lists)


def fresh(model: type[SettingsModel], **lists: Sequence[str]) -> Form:
    """A form for something new: the defaults stand in it."""
    return Form(values={one.name: one.default for one in forms.fields(model)}, lists=lists)


def choices(one: FormField, options: Mapping[int, str], *, empty: str = "") -> FormField:
    """The field as a choice among things of the database."""
    listed = tuple((str(key), words) for key, words in options.items())
    return replace(one, kind="choice", choices=((("", empty),) if empty else ()) + listed)


@asynccontextmanager
async def attempt(db: AsyncSession, form: Form) -> AsyncIterator[None]:
    """Run a verb inside; a refusal undoes all it did and becomes the field's error.

    Raises:
        Refused: the form is to be drawn again.
        NotFound: the thing itself is gone.
    """
    try:
        async with db.begin_nested():
            yield
    except NotFound:
        raise
    except Misuse as error:
        name = error.field if isinstance(error, Invalid) and error.field else ""
        form.errors[name] = error.message
        form.status = HTTPStatus(error.status)
        raise Refused from None
