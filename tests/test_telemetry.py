"""Logs tell what happened and keep what must be kept."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from prometheus_client import generate_latest

from app import telemetry
from app.settings import Settings


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers, root.level = handlers, level


def shown(**values: object) -> dict[str, Any]:
    return dict(telemetry.redact(None, "info", {"event": "something", **values}))


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "db_passwd",
        "access_token",
        "client_secret",
        "Authorization",
        "set-cookie",
        "key",
        "api_key",
        "apikey",
    ],
)
def test_what_is_named_like_a_secret_is_hidden(key: str) -> None:
    for value in ("hunter2", b"hunter2", 123456, ["hunter2"], {"inner": "hunter2"}):
        assert shown(**{key: value})[key] == "[hidden]"


def test_a_secret_is_found_at_any_depth() -> None:
    told = shown(
        account={"credentials": {"a": "hunter2"}, "list": [{"token": "hunter2"}]}, headers={"Cookie": "hunter2"}
    )
    assert "hunter2" not in json.dumps(told)


def test_something_nested_without_end_does_not_hang_the_log() -> None:
    deep: dict[str, Any] = {}
    deep["again"] = deep
    assert "[hidden]" in json.dumps(shown(deep=deep))


@pytest.mark.parametrize("key", ["text", "html", "body", "payload", "Body"])
def test_of_what_people_wrote_only_the_length_is_logged(key: str) -> None:
    assert shown(**{key: "my address is ..."})[key] == "[17 long]"
    assert shown(post={key: "my address is ..."})["post"][key] == "[17 long]"


def test_harmless_words_are_left_alone() -> None:
    told = shown(monkey="banana", keyword="refund", item=7, waiting=True, url="https://example.org/?page=2")
    assert told == {
        "event": "something", "monkey": "banana", "keyword": "refund",
        "item": 7, "waiting": True, "url": "https://example.org/?page=2",
    }  # fmt: skip


def test_secrets_in_addresses_are_hidden_wherever_they_stand() -> None:
    told = shown(error="cannot reach postgresql://me:hunter2@db/x or https://a.example/?access_token=hunter2&page=2")
    assert told["error"] == "cannot reach postgresql://[hidden]@db/x or https://a.example/?access_token=[hidden]&page=2"


def test_json_lines_carry_level_time_and_the_request(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure(Settings(log_json=True))
    with telemetry.request("proxy-id-12345", agent=7) as request_id:
        structlog.get_logger("app").info("claimed", item=3, token="hunter2")
        logging.getLogger("a.library").warning("slow: %s", "https://a.example/?key=hunter2")
    structlog.get_logger("app").info("after")
    ours, library, after = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert request_id == "proxy-id-12345"
    assert ours["event"] == "claimed"
    assert ours["request_id"] == library["request_id"] == request_id
    assert (ours["agent"], ours["item"], ours["level"], ours["token"]) == (7, 3, "info", "[hidden]")
    assert library["event"] == "slow: https://a.example/?key=[hidden]"
    assert ours["timestamp"].endswith("Z")
    assert "request_id" not in after


def test_lines_for_people_hide_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure(Settings(log_json=False))
    structlog.get_logger("app").info("claimed", token="hunter2", text="hello")
    told = capsys.readouterr().err
    assert "claimed" in told
    assert "hunter2" not in told
    assert "hello" not in told


def test_an_exception_is_logged_whole_but_for_secrets_in_addresses(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure(Settings(log_json=True))
    try:
        int("https://me:hunter2@a.example/")
    except ValueError:
        structlog.get_logger("app").exception("failed")
    told = json.loads(capsys.readouterr().err)
    assert "ValueError: invalid literal" in told["exception"]
    assert "https://[hidden]@a.example/" in told["exception"].splitlines()[-1]


def test_the_level_is_the_operators(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure(Settings(log_level="warning"))
    structlog.get_logger("app").info("quiet")
    logging.getLogger("a.library").info("quiet")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("given", [None, "", "short", "x" * 65, "new\nline-and-more", "<script>alert(1)</script>"])
def test_a_request_id_that_is_no_harmless_one_is_replaced(given: str | None) -> None:
    with telemetry.request(given) as request_id:
        assert request_id != given
        assert telemetry.REQUEST_ID.fullmatch(request_id)


def test_the_metrics_have_the_names_that_are_documented() -> None:
    telemetry.posts_ingested.labels("a channel").inc()
    telemetry.replies.labels("a channel", "sent").inc()
    telemetry.offers.labels("an outcome").inc()
    telemetry.http_seconds.labels("/a-route", "GET", telemetry.status_class(204)).observe(0.02)
    telemetry.queue_waiting.labels("A queue").set(3)
    telemetry.feed_lag_seconds.labels("a feed").set(12)
    text = generate_latest().decode()
    assert 'careline_posts_ingested_total{channel="a channel"} 1.0' in text
    assert 'careline_replies_total{channel="a channel",state="sent"} 1.0' in text
    assert 'careline_offers_total{outcome="an outcome"} 1.0' in text
    assert 'careline_http_seconds_bucket{le="0.025",method="GET",route="/a-route",status="2xx"} 1.0' in text
    assert 'careline_queue_waiting{queue="A queue"} 3.0' in text
    assert 'careline_feed_lag_seconds{feed="a feed"} 12.0' in text
