"""`make screenshots`: the pages of a living demo, in light and dark, on a desk and on a phone, into docs/screenshots/.

python -m tools.screenshots [--png] [FOLDER]

Runs the demo in this process on a free port with data of its own, and lets a while pass so that queues move.
"""

import asyncio
import base64
import contextlib
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import psycopg
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, async_playwright
from playwright.async_api import TimeoutError as PlaywrightTimeout

from app import embedded_place, run
from app.embedded import Embedded
from app.northwind import company
from app.northwind.colleagues import ANSWERS
from app.settings import Settings

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "screenshots"
SIZES: Mapping[str, ViewportSize] = {"": {"width": 1440, "height": 900}, "-phone": {"width": 390, "height": 844}}
THEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
SEEN_BY = {"supervisor": ("/board", "/board/staffing"), "admin": ("/admin/feeds", "/admin/rules")}
WARM_UP = 150  # seconds: colleagues answer, customers answer back
DESK = {"": SIZES[""]}
PHONE = {"-phone": SIZES["-phone"]}
MOVED = """
ALTER TABLE event DISABLE TRIGGER event_append_only;
CREATE TEMPORARY TABLE moved AS
  SELECT id, make_interval(weeks => 1) - make_interval(mins => 5 + (row_number() OVER (ORDER BY id))::int * 11 % 470) AS by
  FROM item WHERE state = 'closed';
UPDATE event SET at = event.at - moved.by FROM moved WHERE moved.id = event.item_id;
UPDATE item SET opened_at = item.opened_at - moved.by, ended_at = item.ended_at - moved.by FROM moved WHERE moved.id = item.id;
ALTER TABLE event ENABLE TRIGGER event_append_only;
"""  # what was closed becomes last week's work of the hours to come, which staffing reckons with
PATIENCE = 90_000  # milliseconds for whatever the demo brings by itself
QUALITY = 0.82  # of WebP
LARGEST = 250_000  # bytes of a picture
NEXT_ANSWERS = {
    "en": "You are welcome. If anything is left open, write to us here and ask for Finn.",
    "de": "Gern geschehen. Wenn noch etwas offen ist, schreib uns einfach hier und frag nach Finn.",
}
TO_WEBP = """async ([png, quality]) => {
  const picture = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
  const canvas = Object.assign(document.createElement("canvas"), { width: picture.width, height: picture.height });
  canvas.getContext("2d").drawImage(picture, 0, 0);
  return canvas.toDataURL("image/webp", quality);
}"""


class Camera:
    """Takes a page in every size and theme."""

    def __init__(self, folder: Path, kind: str) -> None:
        """Pictures go to `folder`, made when missing; `kind` is webp or png."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.kind = kind

    async def take(
        self, context: BrowserContext, path: str, name: str, sizes: Mapping[str, ViewportSize] = SIZES, keys: str = ""
    ) -> None:
        """Take the page at `path`, opened anew each time, after these keys ("Control+k p a r k")."""
        for suffix, size in sizes.items():
            for theme in THEMES:
                page = await context.new_page()
                await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
                await page.set_viewport_size(size)
                await page.goto(path)
                for key in keys.split():
                    await page.keyboard.press(key)
                await page.wait_for_timeout(700)
                self._keep(f"{name}{suffix}-{theme}", await self._shot(page))
                await page.close()

    async def _shot(self, page: Page) -> bytes:
        png = await page.screenshot()
        if self.kind == "png":
            return png
        blank = await page.context.new_page()
        encoded = await blank.evaluate(TO_WEBP, [base64.b64encode(png).decode(), QUALITY])
        await blank.close()
        return base64.b64decode(str(encoded).partition(",")[2])

    def _keep(self, name: str, picture: bytes) -> None:
        if self.kind == "webp" and len(picture) > LARGEST:
            raise SystemExit(f"{name} has {len(picture)} bytes, more than {LARGEST}: lower QUALITY.")
        (self.folder / f"{name}.{self.kind}").write_bytes(picture)
        print(f"{name}.{self.kind}: {len(picture) // 1000} kB", flush=True)


async def main(camera: Camera) -> None:
    """Run the demo and go through its pages."""
    async with demo() as settings, async_playwright() as playwright:
        url = settings.base_url
        browser = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        await camera.take(await browser.new_context(base_url=url), "/login", "login")
        finn = await sign_in(browser, url, "agent")
        await asyncio.sleep(WARM_UP)
        await desk_and_offer(finn, camera)
        await a_past(settings)
        for role, paths in SEEN_BY.items():
            page = await sign_in(browser, url, role)
            for path in paths:
                await camera.take(page.context, path, path.rpartition("/")[2])
        await many(page, camera)
        await browser.close()


async def desk_and_offer(finn: Page, camera: Camera) -> None:
    """A conversation with an answer half written, and then an offer beside it."""
    finn.set_default_timeout(PATIENCE)
    await finn.locator("#go-ready").click()
    await finn.locator("#accept").click()
    await finn.wait_for_url("**/items/*")
    await finn.locator(".state-switch [popovertarget=state-menu]").click()
    await finn.locator("#state-menu [value='not_ready:training']").click()
    await converse(finn)
    here = urlsplit(finn.url).path
    await camera.take(finn.context, here, "desk")
    await camera.take(finn.context, here, "palette", DESK, keys="Escape Control+k p a")
    await camera.take(finn.context, f"{here}/customer", "customer", PHONE)
    await finn.locator("#go-ready").click()
    await finn.locator("#accept").wait_for()
    await camera.take(finn.context, urlsplit(finn.url).path, "offer", DESK)
    await camera.take(finn.context, "/desk", "offer", PHONE)


async def a_past(settings: Settings) -> None:
    """Let the demo have been at work a week ago."""
    server = Embedded(settings.data_dir / "postgres")
    async with await psycopg.AsyncConnection.connect(await asyncio.to_thread(server.start), autocommit=True) as raw:
        for statement in MOVED.split(";\n")[:-1]:
            await raw.execute(statement.encode())
    server.leave()


async def many(ada: Page, camera: Camera) -> None:
    """Many items, before something is done to them."""
    ada.set_default_timeout(PATIENCE)
    await ada.goto("/desk/all")
    await ada.locator("#list .item").first.wait_for()
    ids = await ada.locator("#list .item").evaluate_all("rows => rows.slice(0, 6).map((row) => row.dataset.item)")
    await camera.take(ada.context, f"/bulk?do=park&{'&'.join(f'item={one}' for one in ids)}", "bulk", DESK)


async def converse(finn: Page) -> None:
    """Answer, let the customer answer back, and begin another answer, which is saved as a draft."""
    language = (await finn.locator(".msg [lang]").first.get_attribute("lang") or "en").split("-")[0]
    await finn.locator("[data-draft]").fill(ANSWERS.get(language, ANSWERS["en"]))
    await finn.get_by_role("button", name="Send Ctrl Enter").click()
    await finn.get_by_role("button", name="Send now").click()
    await finn.locator(".msg .delivery[data-state=sent]").wait_for()
    with contextlib.suppress(PlaywrightTimeout):  # not everybody answers back
        await finn.locator(".msg").nth(2).wait_for(timeout=PATIENCE)
    await finn.locator("[data-draft]").fill(NEXT_ANSWERS.get(language, NEXT_ANSWERS["en"]))
    await finn.wait_for_timeout(3_000)


async def sign_in(browser: Browser, url: str, role: str) -> Page:
    """A window of somebody's own."""
    context = await browser.new_context(base_url=url, viewport=SIZES[""])
    page = await context.new_page()
    await page.goto("/login")
    await page.get_by_label("Work email").fill(company.SIGN_INS[role])
    await page.get_by_label("Password").fill(company.PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/desk")
    return page


@asynccontextmanager
async def demo() -> AsyncIterator[Settings]:
    """The demo on a free port, with data that are thrown away; its settings once the first page can be used."""
    folder = temporary_folder()
    settings = Settings.model_validate({"PORT": free_port(), "DATABASE_URL": "", "data_dir": folder / "demo"})
    stop, ready = asyncio.Event(), asyncio.Event()

    def heard(line: str) -> None:
        if "is ready" in line:
            ready.set()

    running = asyncio.create_task(run.demo(settings, stop, heard))
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        yield settings
    finally:
        waiting.cancel()
        stop.set()
        await running
        embedded_place.remove(folder / "demo" / "postgres")
        shutil.rmtree(folder)


def temporary_folder() -> Path:
    """A folder for the data. As root the demo's Postgres runs as another account, which must get through."""
    folder = Path(tempfile.mkdtemp(prefix="careline-pictures-"))
    folder.chmod(0o755)
    return folder


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def chromium() -> str:
    """The machine's own Chromium."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        raise SystemExit("There is no Chromium on this machine. Install it (Debian: apt-get install chromium).")
    return found


if __name__ == "__main__":
    given = [argument for argument in sys.argv[1:] if argument != "--png"]
    kind = "png" if "--png" in sys.argv else "webp"
    asyncio.run(main(Camera(Path(given[0]) if given else FOLDER, kind)))
