"""The command line: `careline demo | up | serve | work | route | migrate | doctor | user | token | config | rehearse | connector | key`."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from app import rehearsing, run, telemetry
from app.db import create_engine, sessionmaker
from app.doctor import Verdict, examine
from app.embedded import Embedded
from app.errors import CarelineError, ConfigurationError
from app.flow.config_file import apply as apply_config
from app.flow.config_file import export as export_config
from app.flow.config_file import plan as plan_config
from app.flow.configure_agent import AgentSettings, agent_id_of, create_agent, set_password
from app.flow.rehearse import Roster
from app.flow.rotate_key import rotate
from app.flow.tokens import create_token, revoke_token
from app.kit import new_connector
from app.migrate import migrate as migrate_database
from app.models.agent import Role
from app.settings import Settings, get_settings
from app.vault import Vault, new_key
from app.workers.router import route as run_router
from app.workers.work import work as run_worker

T = TypeVar("T")

cli = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)
user_cli = typer.Typer(no_args_is_help=True, help="People who sign in.")
token_cli = typer.Typer(no_args_is_help=True, help="Keys of programs to /api/v1.")
config_cli = typer.Typer(no_args_is_help=True, help="Teams, skills, queues, agents, rules and feeds as a file.")
key_cli = typer.Typer(no_args_is_help=True, help="The keys that seal credentials.")
connector_cli = typer.Typer(no_args_is_help=True, help="Connectors of your own.")
GROUPS = {"user": user_cli, "token": token_cli, "config": config_cli, "key": key_cli, "connector": connector_cli}
for name, group in GROUPS.items():
    cli.add_typer(group, name=name)


def main() -> None:
    """Run a command; what went wrong is said in one line."""
    try:
        cli()
    except CarelineError as error:
        print(f"careline: {error.message}", file=sys.stderr)
        raise SystemExit(1) from error


@cli.command()
def demo(reset: Annotated[bool, typer.Option(help="Start over with fresh data.")] = False) -> None:
    """Start Careline with a demo company whose customers keep writing."""
    settings = get_settings()
    settings = settings.model_copy(update={"data_dir": settings.data_dir / "demo", "database_url": ""})
    if reset:
        run.forget(settings.data_dir)
    _quiet(settings)
    run.until_stopped(lambda stop: run.demo(settings, stop, _say))


@cli.command()
def up() -> None:
    """Start an empty Careline: web, workers and router in one process."""
    settings = get_settings()
    _quiet(settings)
    run.until_stopped(lambda stop: run.up(settings, stop, _say))


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Serve the web."""
    given = {key: value for key, value in {"host": host, "port": port}.items() if value is not None}
    settings = _production().model_copy(update=given)
    run.until_stopped(lambda stop: run.serve(settings, stop))


@cli.command()
def work() -> None:
    """Run a worker: polls, sends, background jobs."""
    settings = _production()
    telemetry.serve(settings)
    run.until_stopped(lambda stop: run_worker(settings, stop))


@cli.command()
def route() -> None:
    """Run a router: it leads, or stands by."""
    settings = _production()
    telemetry.serve(settings)
    run.until_stopped(lambda stop: run_router(settings, stop))


@cli.command()
def migrate(revision: Annotated[str, typer.Argument(help="head, base, or a revision.")] = "head") -> None:
    """Bring the database's schema up to date."""
    migrate_database(_production(keys=False).database_url, revision)
    print(f"The schema is at {revision}.")


@cli.command()
def doctor() -> None:
    """Check database, clock, migrations, keys, router, feeds and outbox, and say what to do."""
    settings = _with_database()
    telemetry.configure(settings.model_copy(update={"log_level": "ERROR"}))

    async def examined() -> bool:
        engine = create_engine(settings.database_url, 1, "careline doctor")
        well = True
        async for finding in examine(settings, sessionmaker(engine)):
            print(f"{finding.verdict:<5} {finding.what}" + (f" {finding.remedy}" if finding.remedy else ""))
            well = well and finding.verdict is not Verdict.FAIL
        await engine.dispose()
        return well

    if not asyncio.run(examined()):
        raise SystemExit(1)


@user_cli.command("add")
def user_add(
    email: str,
    name: Annotated[str, typer.Option(prompt=True)],
    role: Annotated[Role, typer.Option()] = Role.AGENT,
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True)] = "",
) -> None:
    """Make a person who can sign in."""
    settings = AgentSettings(email=email, name=name, role=role)
    agent = _transaction(lambda session: create_agent(session, settings, password))
    print(f"{agent.name} ({agent.role}) can sign in as {agent.email}.")


@user_cli.command("password")
def user_password(
    email: str, password: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True)] = ""
) -> None:
    """Give a person a new password; they are signed out everywhere."""

    async def change(session: AsyncSession) -> None:
        await set_password(session, await agent_id_of(session, email), password)

    _transaction(change)
    print(f"{email} has a new password.")


@token_cli.command("create")
def token_create(
    email: str,
    name: Annotated[str, typer.Option(help="What it is for.")],
    writes: Annotated[bool, typer.Option(help="May change things, too.")] = False,
) -> None:
    """Make a key to /api/v1 that acts as a person. It is shown once."""

    async def make(session: AsyncSession) -> str:
        return await create_token(session, await agent_id_of(session, email), name, writes=writes)

    print(_transaction(make))


@token_cli.command("revoke")
def token_revoke(name: str) -> None:
    """Make a key useless at once."""
    count = _transaction(lambda session: revoke_token(session, name))
    print(f"Revoked {count}.")


@config_cli.command("export")
def config_export() -> None:
    """Print the configuration as YAML, without secrets."""
    sys.stdout.write(_transaction(export_config))


@config_cli.command("apply")
def config_apply(
    file: Path, dry_run: Annotated[bool, typer.Option(help="Print the difference, change nothing.")] = False
) -> None:
    """Make the configuration as the file says; the difference is printed."""
    text = _read(file)

    async def change(session: AsyncSession) -> str:
        planned = await plan_config(session, text)
        if not dry_run:
            await apply_config(session, planned)
        return str(planned)

    print(_transaction(change))


@cli.command("rehearse")
def rehearse(
    file: Annotated[Path, typer.Argument(help="The changed configuration, as `careline config export` writes it.")],
    since: Annotated[datetime, typer.Option("--from", help="Begin of the stretch, in this machine's time.")],
    until: Annotated[datetime | None, typer.Option("--to", help="Its end; a day later if not given.")] = None,
    *,
    items: Annotated[int | None, typer.Option(help="Simulate so many, drawn from the stretch.")] = None,
    roster: Annotated[Roster, typer.Option(help="Who is in: as recorded, or all from nine to five.")] = (
        Roster.RECORDED
    ),
    seed: Annotated[int, typer.Option(help="The same seed draws the same numbers.")] = 1,
) -> None:
    """Play a changed configuration through a stretch of the past and compare. Nothing is changed."""
    text, stretch = _read(file), rehearsing.stretch_of(since, until, items, roster, seed)
    settings = _with_database()
    telemetry.configure(settings.model_copy(update={"log_level": "WARNING", "log_json": False}))
    print(rehearsing.table(asyncio.run(rehearsing.rehearsed(settings, text, stretch, rehearsing.progress_bar))))


@connector_cli.command("new")
def connector_new(
    name: Annotated[str, typer.Argument(help="The channel: small letters, digits, underscores.")],
    folder: Annotated[Path, typer.Option("--in", help="Where the package's folder is made.")] = Path(),
) -> None:
    """Write a connector in a package of its own, with its fake server and tests that pass."""
    made = new_connector(name, folder)
    print(f"{made} holds a connector that works. In Careline's own folder:")
    print(f"  {sys.executable} -m pytest {made.resolve()}  # its tests")
    print(f"  {sys.executable} -m pip install --no-deps {made.resolve()}  # then start Careline anew")


@key_cli.command("new")
def key_new() -> None:
    """Print a new key, for CARELINE_KEY or the key file."""
    print(new_key())


@key_cli.command("rotate")
def key_rotate() -> None:
    """Seal every credential anew with the newest key."""
    settings = _with_database()
    vault = Vault.load(settings)
    print(f"{_transaction(lambda session: rotate(session, vault))} accounts were sealed anew.")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}.") from error


def _say(line: str) -> None:
    print(line, flush=True)


def _quiet(settings: Settings) -> None:
    """For a terminal: warnings only, unless the operator asked for more."""
    level = "WARNING" if settings.log_level == "INFO" else settings.log_level
    telemetry.configure(settings.model_copy(update={"log_level": level, "log_json": False}))


def _production(*, keys: bool = True) -> Settings:
    """The settings of one process of many: they must name a database and bring a key."""
    settings = get_settings()
    if not settings.database_url:
        raise ConfigurationError("Set DATABASE_URL to the Postgres that all processes share, or use `careline up`.")
    if keys:
        Vault.load(settings)
    telemetry.configure(settings)
    return settings


def _with_database() -> Settings:
    """The settings for a command beside a running Careline: DATABASE_URL, else the embedded server that runs."""
    settings = get_settings()
    if settings.database_url:
        return settings
    for folder in (settings.data_dir, settings.data_dir / "demo"):
        url = Embedded(folder / "postgres").running()
        if url is not None:
            return settings.model_copy(update={"database_url": url, "data_dir": folder})
    raise ConfigurationError("No database: start Careline in another terminal, or set DATABASE_URL.")


def _transaction(verb: Callable[[AsyncSession], Awaitable[T]]) -> T:
    """Run a verb in one transaction."""
    settings = _with_database()
    telemetry.configure(settings.model_copy(update={"log_level": "WARNING", "log_json": False}))

    async def run_it() -> T:
        engine = create_engine(settings.database_url, 1, "careline command")
        try:
            async with sessionmaker(engine).begin() as session:
                return await verb(session)
        finally:
            await engine.dispose()

    return asyncio.run(run_it())


if __name__ == "__main__":
    main()
