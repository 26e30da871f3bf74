"""Connect: an admin agrees on the channel that we use an account, and what that brings is kept.

The state belongs to the browser's sign-in, works once and for minutes; the code goes only to the server that was asked,
and only when the browser comes back to the very address that was given (RFC 9700, 2.1 and 4.4 to 4.7).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.connectors import registry
from app.connectors.base import Connector, IncomingAuthor, SettingsModel
from app.connectors.oauth import OAuth, OAuthCredentials, ask
from app.errors import Conflict, Invalid, Misuse
from app.flow.configure_account import hold, locked_account, open_credentials, reconnected
from app.i18n import _
from app.models.account import Account
from app.models.connect import Consent
from app.vault import Vault

LIVES = timedelta(minutes=10)
BACK = "/oauth/callback"
DOCUMENT = "/client.json"  # under an account's redirect address: what its connector tells servers of our app


class NotAsked(Misuse):
    """The return does not belong to a consent that this browser has asked for."""

    status = 403


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, as it is needed when the browser is back."""

    account_id: int
    verifier: str
    redirect: str
    asked_of: str


def redirect_of(base: str, connector: Connector, account_id: int | None = None) -> str:
    """The exact address that the channel sends the browser back to. Empty: not known before the account is saved.

    Where accounts live on many servers each has an address of its own, so that one server cannot pass another's code
    off as its own (RFC 9700, 4.4.2.2).
    """
    if connector.oauth is None:
        return ""
    if not connector.oauth.has_many_servers:
        return base + BACK
    return f"{base}{BACK}/{account_id}" if account_id is not None else ""


def way_in(connector: Connector, credentials: SettingsModel) -> OAuth:
    """How these credentials sign in. Raises Invalid when they do not do so by OAuth, or name no app."""
    way = connector.sign_in(credentials) if isinstance(credentials, OAuthCredentials) else None
    if way is None or not isinstance(credentials, OAuthCredentials):
        raise Invalid(_("%(connector)s is connected by what is typed on this page.") % {"connector": connector.title})
    if not credentials.client_id:
        raise Invalid(_("Enter the client id first."), "client_id")
    return way


async def ask_consent(session: AsyncSession, vault: Vault, account: Account, sign_in_id: int, base: str) -> str:
    """Remember what is asked, for this sign-in alone; returns where the browser goes. Raises Invalid, SealError."""
    connector = registry.get(account.channel)
    credentials = open_credentials(vault, account)
    way = way_in(connector, credentials)
    redirect = redirect_of(base, connector, account.id)
    asked = ask(way, getattr(credentials, "client_id", ""), redirect)
    digest = _digest(asked.state)
    await session.execute(delete(Consent).where(Consent.expires_at <= func.now()))
    row = {
        "digest": digest,
        "account_id": account.id,
        "sign_in_id": sign_in_id,
        "verifier": vault.seal(asked.verifier.encode(), _sealed_for(digest)),
        "redirect": redirect,
        "asked_of": way.token,
        "expires_at": func.now() + LIVES,
    }
    await session.execute(insert(Consent).values(row))
    return asked.url


async def take_consent(session: AsyncSession, vault: Vault, state: str, sign_in_id: int, redirect: str) -> Asked:
    """Use up what was asked; commit before the code is redeemed. `redirect` is where the browser has come back to.

    Raises NotAsked: unknown, used, too old, or asked by another browser or for another address.
    """
    digest = _digest(state)
    mine = (Consent.digest == digest, Consent.sign_in_id == sign_in_id, Consent.redirect == redirect)
    taken = delete(Consent).where(*mine, Consent.expires_at > func.now()).returning(
        Consent.account_id, Consent.verifier, Consent.redirect, Consent.asked_of
    )  # fmt: skip
    row = (await session.execute(taken)).one_or_none()
    if row is None:
        raise NotAsked(
            _("This sign-in was not asked for here, was used already, or took too long. Start again at the account.")
        )
    verifier = vault.open(row.verifier, _sealed_for(digest)).decode()
    return Asked(row.account_id, verifier, row.redirect, row.asked_of)


def must_be_answer(way: OAuth, asked: Asked, query: Mapping[str, str]) -> str:
    """The code of a return. Raises NotAsked (another server answers), Invalid (the person or the channel said no)."""
    issuer = query.get("iss")
    elsewhere = issuer is not None and way.issuer and issuer.rstrip("/") != way.issuer.rstrip("/")
    if elsewhere or way.token != asked.asked_of:
        raise NotAsked(_("Another server answered than the one that was asked. Nothing was changed."))
    if query.get("error") == "access_denied":
        raise Invalid(_("The sign-in was declined on the channel. Nothing was changed."))
    if "error" in query or not query.get("code"):
        said = " ".join((query.get("error_description") or query.get("error") or "").split())[:200]
        raise Invalid(_("The channel did not sign us in: %(said)s") % {"said": said or "-"})
    return query["code"]


async def keep_consent(
    session: AsyncSession, vault: Vault, account_id: int, brought: OAuthCredentials, who: IncomingAuthor | None
) -> Account:
    """Keep what a sign-in brought; the account's feeds go on where they were.

    Raises:
        NotFound: the account is gone.
        Conflict: its app was changed meanwhile, or somebody else signed in than the account belongs to.
    """
    account = await locked_account(session, account_id)
    stored = open_credentials(vault, account)
    if not isinstance(stored, OAuthCredentials) or stored.client_id != brought.client_id:
        raise Conflict(_("The account was changed meanwhile. Sign in again."))
    if who is not None:
        if account.external_id not in {None, who.external_id}:
            raise Conflict(
                _("You signed in as %(who)s, but this account is %(account)s. Sign out there first, or add an account.")
                % {"who": who.handle, "account": account.handle or account.name}
            )
        account.external_id, account.handle = who.external_id, who.handle
        account.profile = {"url": who.url, "avatar_url": who.avatar_url, "name": who.name}
    hold(vault, account, brought)
    await reconnected(session, account)
    await session.flush()
    return account


def _digest(state: str) -> bytes:
    return hashlib.sha256(state.encode()).digest()


def _sealed_for(digest: bytes) -> str:
    return f"consent:{digest.hex()}"
