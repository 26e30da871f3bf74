"""Running the processes: the web server, and all of Careline in one process for `careline up` and `careline demo`."""

import asyncio
import contextlib
import errno
import gc
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn
import uvloop

from app import embedded_place
from app.db import create_engine, sessionmaker
from app.demo import server
from app.embedded import Embedded
from app.errors import ConfigurationError
from app.flow.first_run import first_run_code, is_first_run
from app.main import create_app
from app.migrate import migrate
from app.northwind import colleagues, company
from app.settings import Settings
from app.vault import Vault
from app.workers.router import route
from app.workers.work import work

LEAST_SPACE = 300_000_000  # bytes
Say = Callable[[str], None]


class Server(uvicorn.Server):
    """The web server without signal handlers of its own: whoever runs it stops it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def web_server(settings: Settings) -> Server:
    """The web app on uvicorn."""
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        proxy_headers=True,
        forwarded_allow_ips=settings.trusted_proxies,
        server_header=False,
        timeout_graceful_shutdown=10,
        ws="none",
    )
    return Server(config)


def until_stopped(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run `main` with an event that SIGINT and SIGTERM set."""

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await main(stop)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Serve the web until `stop`."""
    web = web_server(settings)
    spare_the_collector()
    serving = asyncio.create_task(web.serve())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    web.should_exit = True
    await serving
    stopping.cancel()


def spare_the_collector() -> None:
    """Take what a process is made of out of the cyclic collector's sight: going through it halts all requests for 0.3 s."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)  # a page makes thousands of objects, and next to no cycles


def must_be_free(settings: Settings) -> None:
    """Say in one line when the port is taken or the disk is full, before anything starts. Raises ConfigurationError."""
    probe = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((settings.host, settings.port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise ConfigurationError(f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}.") from error
        raise ConfigurationError(
            f"Port {settings.port} is taken by another program. Stop it, or choose another: PORT={settings.port + 1} "
            "before the command."
        ) from error
    finally:
        probe.close()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.data_dir).free
    if free < LEAST_SPACE:
        raise ConfigurationError(
            f"The disk that holds {settings.data_dir} has {free // 1_000_000} MB left; Careline wants "
            f"{LEAST_SPACE // 1_000_000} MB at least. Free some, or set CARELINE_DATA_DIR to a folder elsewhere."
        )


@contextlib.asynccontextmanager
async def database(settings: Settings, say: Say) -> AsyncIterator[Settings]:
    """The settings with a migrated database: the one they name, or the embedded one, which stops afterwards."""
    embedded = None if settings.database_url else Embedded(settings.data_dir / "postgres")
    try:
        if embedded is not None:
            say("Starting the embedded Postgres ...")
            url = await asyncio.to_thread(embedded.start)
            settings = settings.model_copy(update={"database_url": url})
        say("Bringing the schema up to date ...")
        await asyncio.to_thread(migrate, settings.database_url)
        yield settings
    finally:
        if embedded is not None:
            await asyncio.to_thread(embedded.stop)


async def up(settings: Settings, stop: asyncio.Event, say: Say) -> None:
    """All of Careline in one process: web, workers and router, on the database of the settings or an embedded one."""
    must_be_free(settings)
    vault = Vault.load(settings, create=True)
    async with database(settings, say) as ready:
        await _together(ready, stop, say, await _first_steps(ready, vault))


async def demo(settings: Settings, stop: asyncio.Event, say: Say) -> None:
    """`up`, with a company, a simulated network that keeps talking, and colleagues who work."""
    must_be_free(settings)
    settings = settings.model_copy(
        update={"company": "Northwind Outfitters", "allow_hosts": f"{settings.allow_hosts},{server.HOST}"}
    )
    vault = Vault.load(settings, create=True)
    async with database(settings, say) as ready, server.running(settings.data_dir / "network") as network:
        engine = create_engine(ready.database_url, 3, "careline demo")
        try:
            sessions = sessionmaker(engine)
            await company.settle(sessions, vault, network)
            helping = asyncio.create_task(colleagues.work(sessions, stop))
            await _together(ready, stop, say, _welcome(network.url))
            await helping
        finally:
            await engine.dispose()


async def _together(settings: Settings, stop: asyncio.Event, say: Say, greeting: str) -> None:
    """Web, workers and router until `stop`, or until one of them ends by itself (then all end, and its error is told)."""
    parts = [asyncio.create_task(part(settings, stop), name=part.__name__) for part in (serve, work, route)]
    telling = asyncio.create_task(_tell_when_ready(settings, say, greeting))
    await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        stop.set()
    else:
        say("Stopping ...")
    telling.cancel()
    await asyncio.gather(*parts)


async def _tell_when_ready(settings: Settings, say: Say, greeting: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                answer = await client.get(f"http://{_here(settings.host)}:{settings.port}/readyz")
                if answer.status_code == httpx.codes.OK:
                    break
            await asyncio.sleep(0.1)
    say(f"\nCareline is ready: {settings.base_url}\n{greeting}\nStop it with Ctrl-C; its data stays.")


def _here(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - compared, not listened on


async def _first_steps(settings: Settings, vault: Vault) -> str:
    engine = create_engine(settings.database_url, 1, "careline up")
    try:
        async with sessionmaker(engine)() as session:
            if not await is_first_run(session):
                return "Sign in with your account."
    finally:
        await engine.dispose()
    return f"Make the first admin at {settings.base_url}/first-run with the code {first_run_code(vault)}."


def _welcome(network: str) -> str:
    people = "\n".join(f"  {role:<11}{email}" for role, email in company.SIGN_INS.items())
    return (
        f"Sign in as one of these, with the password {company.PASSWORD}:\n{people}\n"
        f"The simulated network, where your answers stand: {network}"
    )


def forget(folder: Path) -> None:
    """Delete the demo's data. Raises ConfigurationError when it cannot, or the demo is running."""
    if Embedded(folder / "postgres").running() is not None:
        raise ConfigurationError("The demo is running: stop it in its terminal (Ctrl-C) before you start it over.")
    try:
        embedded_place.remove(folder / "postgres")
        shutil.rmtree(folder, ignore_errors=not folder.exists())
    except OSError as error:
        raise ConfigurationError(f"The demo's data in {folder} cannot be deleted: {error.strerror}.") from error
