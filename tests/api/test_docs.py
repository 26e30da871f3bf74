"""docs/api.md says what the API does."""

import re
from pathlib import Path

from starlette.datastructures import State

from app.api.program import create_api
from app.models.item import Disposition

DOCS = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def test_every_route_stands_in_the_docs_and_nothing_else() -> None:
    described = create_api(State()).openapi()["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}

    told = {re.sub(r"/\d+", "/{id}", one) for one in re.findall(r"`((?:GET|POST|PUT|DELETE) /\w[^?`]*)", DOCS)}

    assert told - {"POST /hooks/{key}"} == {re.sub(r"\{\w+\}", "{id}", one) for one in routes}


def test_every_disposition_that_a_person_may_choose_is_named() -> None:
    for disposition in set(Disposition) - {Disposition.BACKLOG}:
        assert f"`{disposition}`" in DOCS
