"""A settings model as a form, and a filled form as the model: admin pages need to know no connector."""

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any, Literal, TypeVar, Union

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AnyUrl, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from app.connectors.base import SettingsModel
from app.errors import Invalid
from app.i18n import N_, _

Kind = Literal["text", "password", "url", "number", "date", "choice", "checkbox", "lines"]
Model = TypeVar("Model", bound=SettingsModel)
_PROBLEMS = {  # pydantic's types of errors (docs.pydantic.dev/latest/errors/validation_errors)
    "missing": N_("This is needed."),
    "string_too_short": N_("At least %(min_length)s characters."),
    "string_too_long": N_("At most %(max_length)s characters."),
    "string_pattern_mismatch": N_("This is not written as it should be."),
    "too_short": N_("At least %(min_length)s of them."),
    "too_long": N_("At most %(max_length)s of them."),
    "greater_than_equal": N_("At least %(ge)s."),
    "greater_than": N_("More than %(gt)s."),
    "less_than_equal": N_("At most %(le)s."),
    "less_than": N_("Less than %(lt)s."),
    "int_parsing": N_("This is not a whole number."),
    "int_from_float": N_("This is not a whole number."),
    "int_type": N_("This is not a whole number."),
    "int_parsing_size": N_("This number is too large."),
    "float_parsing": N_("This is not a number."),
    "float_type": N_("This is not a number."),
    "date_from_datetime_parsing": N_("This is not a date."),
    "bool_parsing": N_("This is neither yes nor no."),
    "enum": N_("Choose one of %(expected)s."),
    "literal_error": N_("Choose one of %(expected)s."),
    "url_parsing": N_("This is not an address of the web."),
    "url_scheme": N_("The address starts with %(expected_schemes)s."),
    "extra_forbidden": N_("There is no such field."),
}


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of a form. `default` is what an empty form shows: text, or a truth for a checkbox."""

    name: str
    label: str
    kind: Kind
    help: str = ""
    required: bool = False
    default: str | bool = ""
    choices: tuple[tuple[str, str], ...] = ()  # (value, words)
    min: float | None = None
    max: float | None = None
    example: str = ""


def fields(model: type[SettingsModel]) -> list[FormField]:
    """The form of a settings model, in the model's order. Raises TypeError for a type that no field can show.

    Kinds follow the types: bool -> checkbox, int and float -> number, Enum and Literal -> choice, SecretStr or
    `json_schema_extra={"secret": True}` -> password, AnyUrl or `json_schema_extra={"format": "url"}` -> url,
    date -> date, list, tuple, set and frozenset of text -> lines, all else text. An Enum says its words by a `words` property.
    `json_schema_extra={"hidden": True}` keeps a field out: what a connector keeps for itself, such as a session.
    """
    return [_field(name, info) for name, info in model.model_fields.items() if not _extra(info).get("hidden")]


def shown(model: SettingsModel) -> dict[str, str | bool]:
    """What a form shows of stored settings. Passwords are never shown: they come out empty."""
    form = {one.name: one for one in fields(type(model))}
    return {name: "" if one.kind == "password" else _as_text(getattr(model, name)) for name, one in form.items()}


def shown_differs(one: SettingsModel, other: SettingsModel) -> bool:
    """Whether two models of a kind differ in what a person typed, secrets included."""
    return any(getattr(one, field.name) != getattr(other, field.name) for field in fields(type(one)))


def read(model: type[Model], form: Mapping[str, str], kept: Model | None = None) -> Model:
    """The model that a filled form stands for.

    Raises Invalid, naming the first field that is not acceptable and why.
    """
    return check(model, filled(model, form, kept))


def filled(model: type[SettingsModel], form: Mapping[str, str], kept: SettingsModel | None = None) -> dict[str, Any]:
    """The values of a filled form, not validated yet.

    A field left empty takes its default; a password left empty keeps the one in `kept`. Unknown names are ignored
    (a form carries tokens too).
    """
    values: dict[str, Any] = {}
    for one in fields(model):
        given = form.get(one.name, "")
        if one.kind == "checkbox":
            values[one.name] = given not in {"", "false", "off", "0"}
        elif one.kind == "lines":
            values[one.name] = [line.strip() for line in given.splitlines() if line.strip()]
        elif given.strip():
            values[one.name] = given
        elif one.kind == "password" and kept is not None:
            values[one.name] = getattr(kept, one.name)
    return values


def check(model: type[Model], values: Mapping[str, Any]) -> Model:
    """Validate values from anywhere (a form, YAML, the API). Raises Invalid, naming the first bad field and why."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0]) if first["loc"] else None
        label = _label(name, model.model_fields[name]) if name in model.model_fields else name
        said = problem(first)
        raise Invalid(f"{label}: {said}" if label else said, name) from None


def problem(error: ErrorDetails) -> str:
    """What is wrong with a value, in the reader's words; in pydantic's for what no form can send."""
    if error["type"] == "value_error":
        return error["msg"].removeprefix("Value error, ")
    context = error.get("ctx") or {}
    words = _PROBLEMS.get(error["type"])
    return _(words) % context if words else error["msg"]


def _field(name: str, info: FieldInfo) -> FormField:
    kind_of = _bare(info.annotation)
    kind = _kind(name, kind_of, info)
    default = info.get_default(call_default_factory=True, validated_data={})
    return FormField(
        name=name,
        label=_label(name, info),
        kind=kind,
        help=_(info.description) if info.description else "",
        required=info.is_required() and kind not in {"checkbox", "lines"},
        default=False if kind == "checkbox" and info.is_required() else _default(default, info, kind),
        choices=_choices(kind_of) if kind == "choice" else (),
        min=_bound(info, (Ge, "ge"), (Gt, "gt")),
        max=_bound(info, (Le, "le"), (Lt, "lt")),
        example=str(info.examples[0]) if info.examples else "",
    )


def _label(name: str, info: FieldInfo) -> str:
    return _(info.title) if info.title else name.replace("_", " ").capitalize()


def _default(value: Any, info: FieldInfo, kind: Kind) -> str | bool:
    return "" if info.is_required() or kind == "password" else _as_text(value)


def _as_text(value: Any) -> str | bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, list | tuple | set | frozenset):
        return "\n".join(str(v) for v in value)
    return "" if value is None else str(value)


def _bare(annotation: Any) -> Any:
    """The type without `| None`."""
    if typing.get_origin(annotation) in {Union, types.UnionType}:
        rest = [one for one in typing.get_args(annotation) if one is not type(None)]
        return rest[0] if len(rest) == 1 else str
    return annotation


def _extra(info: FieldInfo) -> dict[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def _kind(name: str, kind_of: Any, info: FieldInfo) -> Kind:
    origin = typing.get_origin(kind_of) or kind_of
    if origin is Literal:
        return "choice"
    if not isinstance(origin, type):
        raise TypeError(f"The field {name!r} has a type that no form can show: {kind_of}.")
    extra = _extra(info)
    if extra.get("secret"):
        return "password"
    if extra.get("format") == "url":
        return "url"
    return _kind_of_class(name, origin)


def _kind_of_class(name: str, origin: type) -> Kind:
    kinds: tuple[tuple[tuple[type, ...], Kind], ...] = (
        ((SecretStr, SecretBytes), "password"),
        ((AnyUrl,), "url"),
        ((bool,), "checkbox"),
        ((Enum,), "choice"),
        ((int, float), "number"),
        ((date,), "date"),
        ((list, tuple, set, frozenset), "lines"),
        ((str,), "text"),
    )
    for classes, kind in kinds:
        if issubclass(origin, classes):
            return kind
    raise TypeError(f"The field {name!r} has a type that no form can show: {origin.__name__}.")


def _choices(kind_of: Any) -> tuple[tuple[str, str], ...]:
    if typing.get_origin(kind_of) is Literal:
        return tuple((str(one), _words(str(one))) for one in typing.get_args(kind_of))
    return tuple((str(one.value), getattr(one, "words", _words(str(one.value)))) for one in kind_of)


def _words(value: str) -> str:
    return value.replace("_", " ").capitalize()


def _bound(info: FieldInfo, *kinds: tuple[type, str]) -> float | None:
    for kind, attribute in kinds:
        for one in info.metadata:
            if isinstance(one, kind):
                return typing.cast("float", getattr(one, attribute))
    return None
