"""The connectors at hand: our own by name, others from the entry point group `careline.connectors`.

A class is imported when it is first asked for. A third-party package that cannot be loaded is reported by `broken()`
and never hinders the others; one that takes a built-in's name is reported as well and not used.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from app.connectors.base import Capabilities, Connector, SettingsModel
from app.errors import NotFound
from app.i18n import _

GROUP = "careline.connectors"

BUILT_IN: dict[str, str] = {
    "bluesky": "app.connectors.bluesky:BlueskyConnector",
    "discourse": "app.connectors.discourse:DiscourseConnector",
    "demo": "app.connectors.demo:DemoConnector",
    "facebook": "app.connectors.facebook:FacebookConnector",
    "email": "app.connectors.mail:MailConnector",
    "instagram": "app.connectors.instagram:InstagramConnector",
    "form": "app.connectors.form:FormConnector",
    "mastodon": "app.connectors.mastodon:MastodonConnector",
    "reddit": "app.connectors.reddit:RedditConnector",
    "rss": "app.connectors.rss:RssConnector",
    "telegram": "app.connectors.telegram:TelegramConnector",
    "threads": "app.connectors.threads:ThreadsConnector",
    "whatsapp": "app.connectors.whatsapp:WhatsAppConnector",
    "x": "app.connectors.x:XConnector",
    "youtube": "app.connectors.youtube:YouTubeConnector",
    "webhook": "app.connectors.webhook:WebhookConnector",
}


@dataclass(frozen=True, slots=True)
class Broken:
    """A third-party connector that cannot be used, and why."""

    name: str
    package: str
    reason: str


def get(name: str) -> Connector:
    """The connector of that name. Raises NotFound when there is none, or it cannot be loaded."""
    if name in BUILT_IN:
        return _built_in(name)
    loaded, failed = _third_party()
    if name in loaded:
        return loaded[name]
    for one in failed:
        if one.name == name:
            raise NotFound(
                _("The connector '%(name)s' of the package %(package)s cannot be loaded: %(reason)s.")
                % {"name": name, "package": one.package, "reason": one.reason}
            )
    raise NotFound(_("There is no connector '%(name)s'. Is the package that brings it installed?") % {"name": name})


def all() -> dict[str, Connector]:  # noqa: A001 - reads as `registry.all()`, never imported by itself
    """Every connector that works, by name, in the order of their titles."""
    found = {name: _built_in(name) for name in BUILT_IN} | _third_party()[0]
    return dict(sorted(found.items(), key=lambda pair: pair[1].title.casefold()))


def broken() -> tuple[Broken, ...]:
    """The third-party connectors that cannot be used."""
    return _third_party()[1]


def forget() -> None:
    """Look for third-party connectors anew at the next call."""
    _third_party.cache_clear()


@cache
def _built_in(name: str) -> Connector:
    module, _, attribute = BUILT_IN[name].partition(":")
    made: Connector = getattr(import_module(module), attribute)()
    return made


@cache
def _third_party() -> tuple[dict[str, Connector], tuple[Broken, ...]]:
    loaded: dict[str, Connector] = {}
    failed: list[Broken] = []
    for point in entry_points(group=GROUP):
        package = point.dist.name if point.dist else "an unknown package"
        try:
            loaded[point.name] = _load(point, taken=point.name in BUILT_IN or point.name in loaded)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's import may raise anything; it is told
            failed.append(Broken(point.name, package, f"{type(error).__name__}: {error}"))
    return loaded, tuple(failed)


def _load(point: EntryPoint, *, taken: bool) -> Connector:
    if taken:
        raise ValueError(_("another connector has this name already"))
    made = point.load()()
    if not isinstance(made, Connector):
        raise TypeError("it is not an app.connectors.base.Connector")
    if getattr(made, "name", None) != point.name:
        raise ValueError(_("its class says that its name is '%(made)s'") % {"made": getattr(made, "name", None)})
    _check_what_pages_draw(made)
    return made


def _check_what_pages_draw(made: Connector) -> None:
    """Pages and workers look at every connector: one that lacks these would break them for all others."""
    if not (isinstance(getattr(made, "title", None), str) and made.title and isinstance(made.help, str)):
        raise TypeError("its title and help must be texts")
    if not isinstance(made.capabilities, Capabilities):
        raise TypeError("its capabilities must be app.connectors.base.Capabilities")
    for model in (made.Settings, made.Credentials or made.Settings):
        if not (isinstance(model, type) and issubclass(model, SettingsModel)):
            raise TypeError("its Settings and Credentials must be app.connectors.base.SettingsModel")
