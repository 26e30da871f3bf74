"""Signing in on the server where an account of Bluesky lives: who that is, where, and what tells servers of our app.

Rules: atproto.com/specs/oauth (clients, discovery, "Identity Authentication"), atproto.com/specs/did and /specs/handle,
RFC 9728 (protected resource), RFC 8414 (authorization server). A client's id is the address of its document; on loopback,
where no server could fetch one, it is a special one.
"""

from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from pydantic import SecretStr

from app.connectors.answers import object_or_none
from app.connectors.base import Json, Link
from app.connectors.bluesky_account import LOOPBACK, SIGN_IN, BlueskyCredentials
from app.connectors.bluesky_json import as_dict, as_list
from app.connectors.proof import new_key, public_part
from app.connectors.wire import reaching, read_bounded, refusal
from app.errors import Malformed, Refused, Unauthorized
from app.i18n import N_

DOCUMENT = "/client.json"  # under the redirect address
_LARGEST = 1_000_000  # bytes
_SCOPES = " ".join(scope.name for scope in SIGN_IN.scopes)


async def prepared(link: Link, redirect: str) -> BlueskyCredentials:
    """The credentials with where they sign in, our app's id there, and its keys, made once. Raises ConnectorError."""
    held: BlueskyCredentials = link.credentials
    client_id = _client_id(redirect)
    did = await _did(link, held)
    pds = await _pds(link, held, did)
    server = await _server(link, pds)
    return held.model_copy(
        update={
            "client_id": client_id,
            "asked_of": did,
            "pds": pds,
            "issuer": server["issuer"],
            "authorize_at": server["authorization_endpoint"],
            "token_at": server["token_endpoint"],
            "push_at": server["pushed_authorization_request_endpoint"],
            "client_key": held.client_key if held.client_key.get_secret_value() else SecretStr(new_key()),
            "proof_key": held.proof_key if held.proof_key.get_secret_value() else SecretStr(new_key()),
        }
    )


def document(held: BlueskyCredentials, redirect: str) -> Json | None:
    """What tells servers of our app; None before it has a key, and where there is nobody to tell."""
    if held.client_id != redirect + DOCUMENT or not held.client_key.get_secret_value():
        return None
    parts = urlsplit(redirect)
    key = public_part(held.client_key.get_secret_value()) | {"use": "sig", "alg": "ES256"}
    return {
        "client_id": held.client_id,
        "client_name": "Careline",
        "client_uri": f"{parts.scheme}://{parts.netloc}",
        "application_type": "web",
        "redirect_uris": [redirect],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": _SCOPES,
        "dpop_bound_access_tokens": True,
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "jwks": {"keys": [key]},
    }


def require_asked(held: BlueskyCredentials) -> BlueskyCredentials:
    """The credentials, if the account that was asked for is the one that signed in. Raises Refused."""
    if held.subject != held.asked_of:
        raise Refused(
            N_("Another account than @%(handle)s has signed in. Sign out on Bluesky first, or change the handle here.")
            % {"handle": held.identifier}
        )
    return held


def _client_id(redirect: str) -> str:
    parts = urlsplit(redirect)
    if parts.scheme == "https":
        return redirect + DOCUMENT
    if parts.scheme == "http" and parts.hostname in LOOPBACK - {"localhost"}:
        return f"http://localhost?{urlencode({'redirect_uri': redirect, 'scope': _SCOPES})}"
    raise Refused(
        N_("Bluesky signs in for public https addresses, or for http://127.0.0.1, and not for %(address)s. An app password works everywhere.")
        % {"address": f"{parts.scheme}://{parts.netloc}"}
    )  # fmt: skip


async def _did(link: Link, held: BlueskyCredentials) -> str:
    if held.identifier.startswith("did:"):
        return held.identifier
    asked = f"{held.service}/xrpc/com.atproto.identity.resolveHandle?handle={quote(held.identifier)}"
    try:
        did = (await _read(link, asked)).get("did")
    except Refused as error:
        raise Unauthorized(
            N_("%(service)s knows nobody called @%(handle)s. Check the handle.")
            % {"service": held.service, "handle": held.identifier}
        ) from error
    if not isinstance(did, str) or not did.startswith("did:"):
        raise _unlike(held.service)
    return did


async def _pds(link: Link, held: BlueskyCredentials, did: str) -> str:
    """Where the account lives, by its own document, which has to name the handle in turn."""
    at = f"https://{did[8:]}/.well-known/did.json" if did.startswith("did:web:") else f"{held.directory}/{quote(did)}"
    told = await _read(link, at)
    handles = [str(one).removeprefix("at://").lower() for one in as_list(told.get("alsoKnownAs"))]
    if not held.identifier.startswith("did:") and held.identifier.lower() not in handles:
        raise Refused(
            N_("The account behind @%(handle)s does not use that handle. Check it.") % {"handle": held.identifier}
        )
    for service in map(as_dict, as_list(told.get("service"))):
        if str(service.get("id")).endswith("#atproto_pds") and _is_address(service.get("serviceEndpoint")):
            return str(service["serviceEndpoint"]).rstrip("/")
    raise _unlike(at)


async def _server(link: Link, pds: str) -> dict[str, str]:
    """The metadata of the server that signs in for this one; its addresses are checked."""
    named = as_list((await _read(link, f"{pds}/.well-known/oauth-protected-resource")).get("authorization_servers"))
    if len(named) != 1 or not _is_address(named[0]):
        raise _unlike(pds)
    told = await _read(link, f"{named[0].rstrip('/')}/.well-known/oauth-authorization-server")
    wanted = ("issuer", "authorization_endpoint", "token_endpoint", "pushed_authorization_request_endpoint")
    if told.get("issuer") != named[0] or not all(_is_address(told.get(name)) for name in wanted):
        raise _unlike(str(named[0]))
    return {name: str(told[name]) for name in wanted}


def _is_address(value: Any) -> bool:
    parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))


async def _read(link: Link, url: str) -> Json:
    host = urlsplit(url).hostname or url
    with reaching(host):
        async with link.http.stream("GET", url, headers={"Accept": "application/json"}) as response:
            problem = refusal(response, host, link.now)
            content = await read_bounded(response, _LARGEST, host)
    if problem is not None:
        raise problem
    told = object_or_none(content)
    if told is None:
        raise _unlike(host)
    return told


def _unlike(where: str) -> Malformed:
    return Malformed(
        N_("%(where)s does not tell how to sign in there as Bluesky's servers do. An app password works as well.")
        % {"where": where}
    )
