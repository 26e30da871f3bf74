"""Logs and metrics: what happened, without secrets and without what people wrote.

Logs are one JSON object a line (or plain lines for people). Values under keys that name a secret are replaced,
values under keys that name a post's text are dropped to their length, at any depth; so are a URL's user name and its
query's secrets. A request id is bound to everything logged while a request or job runs.
"""

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import structlog
from prometheus_client import Counter, Gauge, Histogram, start_http_server

from app.settings import Settings

SECRET = re.compile(r"passw|token|secret|authorization|cookie|credential|(^|[_-])key($|[_-])|apikey", re.IGNORECASE)
CONTENT = frozenset({"text", "html", "body", "payload"})
URL_SECRETS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^\s/@]*@|(?P<name>[?&][^=&\s]*(?:token|key|secret|passw|sig|code)[^=&\s]*=)[^&\s#]*",
    re.IGNORECASE,
)
HIDDEN = "[hidden]"
DEEPEST = 6
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

posts_ingested = Counter("careline_posts_ingested", "Posts stored, new ones only.", ["channel"])
replies = Counter("careline_replies", "Replies by the state they came to.", ["channel", "state"])
offers = Counter("careline_offers", "Offers by outcome: accepted, declined, expired, revoked.", ["outcome"])
http_seconds = Histogram(
    "careline_http_seconds",
    "Time to answer a request, in seconds.",
    ["route", "method", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
queue_waiting = Gauge("careline_queue_waiting", "Items that wait, at the time of asking.", ["queue"])
feed_lag_seconds = Gauge(
    "careline_feed_lag_seconds", "Seconds since a feed was last fetched without trouble.", ["feed"]
)


def status_class(status: int) -> str:
    """`2xx` for 204: the label of `careline_http_seconds`."""
    return f"{status // 100}xx"


def configure(settings: Settings) -> None:
    """Set up logging for this process, for structlog and for the libraries that use the standard library's."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
    ]
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_rendering(settings)))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ("httpx", "httpcore"):  # they log whole addresses, secrets in the query included
        logging.getLogger(name).setLevel(logging.WARNING)


def serve(settings: Settings) -> None:
    """Serve the metrics of a process without pages, on a port and thread of their own, when the operator wants it."""
    if settings.metrics_port:
        start_http_server(settings.metrics_port, settings.host)


def _rendering(settings: Settings) -> list[structlog.types.Processor]:
    last: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    return [structlog.stdlib.ProcessorFormatter.remove_processors_meta, last]


@contextmanager
def request(request_id: str | None = None, **values: object) -> Iterator[str]:
    """Bind a request id to what is logged inside; a proxy's id is kept when it is a harmless one."""
    kept = request_id if request_id and REQUEST_ID.fullmatch(request_id) else uuid4().hex
    with structlog.contextvars.bound_contextvars(request_id=kept, **values):
        yield kept


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: hide secrets and drop what people wrote."""
    return {key: _shown(key, value, 0) for key, value in event.items()}


def _shown(key: str, value: object, depth: int) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value if not SECRET.search(key) or value is None else HIDDEN
    if SECRET.search(key):
        return HIDDEN
    if key.lower() in CONTENT:
        return f"[{len(value)} long]" if isinstance(value, str | bytes | Mapping | Sequence) else HIDDEN
    return _within(value, depth)


def _within(value: object, depth: int) -> object:
    if isinstance(value, str):
        return URL_SECRETS.sub(_without_secret, value)
    if depth >= DEEPEST:
        return HIDDEN
    if isinstance(value, Mapping):
        return {str(key): _shown(str(key), inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown("", inner, depth + 1) for inner in value]
    return value


def _without_secret(match: re.Match[str]) -> str:
    return f"{match['scheme']}{HIDDEN}@" if match["scheme"] else f"{match['name']}{HIDDEN}"
