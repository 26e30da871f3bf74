"""The styles that browsers get say what the files say: squeezing takes blanks away, and nothing else."""

import gzip

import pytest
from playwright.async_api import Browser

from app.web.assets import STATIC, packed

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
# Every selector as it is, and every rule without blanks: those within values may go.
RULES = """(text) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(text);
    const all = (rules) => [...rules].flatMap((one) => [one.selectorText ?? "", ...all(one.cssRules ?? [])]);
    return [all(sheet.cssRules), [...sheet.cssRules].map((rule) => rule.cssText.replace(/\\s+/g, ""))];
}"""


async def test_squeezed_styles_have_the_same_rules(chromium: Browser) -> None:
    page = await chromium.new_page()
    for path in sorted(STATIC.rglob("css/*.css")):
        served = gzip.decompress(packed(path, path.stat().st_mtime_ns)).decode()
        written = await page.evaluate(RULES, path.read_text(encoding="utf-8"))
        assert await page.evaluate(RULES, served) == written, path.name
