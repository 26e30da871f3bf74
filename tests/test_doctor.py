from datetime import timedelta

from pydantic import SecretStr
from sqlalchemy import func, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import create_engine, sessionmaker
from app.doctor import Finding, Verdict, examine
from app.flow.first_run import first_run_code
from app.flow.rotate_key import rotate
from app.flow.sealed import sealed_for
from app.models.account import Account
from app.models.assignment import RouterLease
from app.models.feed import Feed, Health
from app.models.rule import Rule
from app.settings import Settings
from app.vault import Vault, new_key
from tests.company import make_company

KEY = new_key()
SETTINGS = Settings(key=SecretStr(KEY))


async def told(engine: AsyncEngine, settings: Settings = SETTINGS) -> list[Finding]:
    return [finding async for finding in examine(settings, sessionmaker(engine))]


def verdict(findings: list[Finding], part: str) -> Verdict:
    [finding] = [f for f in findings if part in f.what]
    return finding.verdict


async def test_a_well_house_has_no_failures(engine: AsyncEngine) -> None:
    async with sessionmaker(engine).begin() as session:
        await make_company(session)
        lease = update(RouterLease).values(holder="router-1", expires_at=func.now() + timedelta(minutes=1))
        await session.execute(lease)
    findings = await told(engine)
    assert [f for f in findings if f.verdict is Verdict.FAIL] == []
    assert verdict(findings, "router-1 leads") is Verdict.OK


async def test_a_schema_that_is_too_old_ends_the_examination_with_what_to_do(engine: AsyncEngine) -> None:
    async with sessionmaker(engine).begin() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '0001_main_road'"))
    last = (await told(engine))[-1]
    assert (last.verdict, "careline migrate" in last.remedy) == (Verdict.FAIL, True)


async def test_no_catch_all_no_router_and_a_sick_feed_are_named(engine: AsyncEngine) -> None:
    async with sessionmaker(engine).begin() as session:
        await make_company(session)
        await session.execute(update(Rule).values(conditions={"contains": ["x"]}))
        await session.execute(update(Feed).values(health=Health.STOPPED, trouble="The token was revoked."))
    findings = await told(engine)
    assert verdict(findings, "No rule catches all") is Verdict.FAIL
    assert verdict(findings, "No router leads") is Verdict.WARN
    assert verdict(findings, "The token was revoked.") is Verdict.FAIL


async def test_a_database_that_is_away_is_one_finding(engine: AsyncEngine) -> None:
    async with sessionmaker(engine)() as session:
        name = await session.scalar(text("SELECT current_database()"))
    broken = engine.url.set(database=f"{name}_away")
    elsewhere = create_engine(broken.render_as_string(hide_password=False))
    [finding] = await told(elsewhere)
    await elsewhere.dispose()
    assert (finding.verdict, "DATABASE_URL" in finding.remedy) == (Verdict.FAIL, True)


async def sealed(session: AsyncSession, vault: Vault) -> Account:
    account = Account(channel="mastodon", name="@northwindhelp")
    session.add(account)
    await session.flush()
    account.sealed = vault.seal(b'{"token": "t"}', sealed_for(account.id))
    await session.flush()
    return account


async def test_rotation_seals_anew_and_the_old_key_can_go(engine: AsyncEngine) -> None:
    newer = new_key()
    both, alone = (Settings(key=SecretStr(k)) for k in (f"{newer},{KEY}", newer))
    async with sessionmaker(engine).begin() as session:
        account = await sealed(session, Vault.load(SETTINGS))
    assert verdict(await told(engine, both), "sealed with an older key") is Verdict.WARN
    async with sessionmaker(engine).begin() as session:
        assert await rotate(session, Vault.load(both)) == 1
        assert await rotate(session, Vault.load(both)) == 0
    async with sessionmaker(engine)() as session:
        kept = await session.get_one(Account, account.id)
        assert Vault.load(alone).open(kept.sealed or b"", sealed_for(account.id)) == b'{"token": "t"}'


async def test_a_lost_key_is_a_failure_for_the_account_it_sealed(engine: AsyncEngine) -> None:
    async with sessionmaker(engine).begin() as session:
        await sealed(session, Vault.load(SETTINGS))
    findings = await told(engine, Settings(key=SecretStr(new_key())))
    assert verdict(findings, "'@northwindhelp' cannot be opened") is Verdict.FAIL


async def test_an_empty_house_is_told_the_code_of_its_first_page(engine: AsyncEngine) -> None:
    [finding] = [f for f in await told(engine) if "no admin yet" in f.what]
    assert f"/first-run with the code {first_run_code(Vault.load(SETTINGS))}" in finding.remedy


async def test_a_schema_that_is_newer_than_this_version_is_worth_a_warning_only(engine: AsyncEngine) -> None:
    async with sessionmaker(engine).begin() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999_next'"))
    assert verdict(await told(engine), "newer") is Verdict.WARN
