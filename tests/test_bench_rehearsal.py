import json

import pytest

from bench import rehearsal


async def test_a_rehearsal_is_measured_from_posts_to_the_comparison(
    fresh_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = await rehearsal.measure(fresh_database, rehearsal.TINY)

    told = json.loads(result.line())
    assert list(told) == ["name", "ratio", "goal", "met"]
    assert (told["name"], told["ratio"] > 0, told["met"]) == ("rehearsal", True, True)
    assert capsys.readouterr().out.startswith("rehearsal: 200 items twice in ")
