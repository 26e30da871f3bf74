from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from app.web.assets import STATIC, static_url
from tests.web.conftest import HOST

BUDGETS = {"js": 45_000, "css": 20_000}  # bytes as they go over the wire, everything together


def names(suffix: str) -> Iterator[str]:
    return (path.relative_to(STATIC).as_posix() for path in sorted(STATIC.rglob(f"*.{suffix}")))


@pytest.mark.parametrize("suffix", BUDGETS)
async def test_all_scripts_and_all_styles_together_stay_within_their_budgets(app: FastAPI, suffix: str) -> None:
    sizes = {}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOST) as http:
        for name in names(suffix):
            answer = await http.get(static_url(name), headers={"Accept-Encoding": "gzip"})
            assert answer.headers["content-encoding"] == "gzip"
            sizes[name] = int(answer.headers["content-length"])

    assert sum(sizes.values()) <= BUDGETS[suffix], sizes
