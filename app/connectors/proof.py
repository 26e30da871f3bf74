"""What is signed for OAuth: proofs that we hold a key (RFC 9449, DPoP), and who our app is (RFC 7523, private_key_jwt).

Keys are ES256, which AT Protocol asks for (atproto.com/specs/oauth).
"""

import base64
import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import ECAlgorithm

_LIVES = timedelta(minutes=1)  # of an assertion
_ALGORITHM = "ES256"
_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def new_key() -> str:
    """A private key, as PEM."""
    key = generate_private_key(SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_part(pem: str) -> dict[str, Any]:
    """The JWK that others verify with, under a name of its own (RFC 7638)."""
    jwk: dict[str, Any] = ECAlgorithm.to_jwk(_key(pem).public_key(), as_dict=True)
    named = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    canonical = ",".join(f'"{name}":"{named[name]}"' for name in sorted(named))
    return {**named, "kid": _b64(hashlib.sha256(f"{{{canonical}}}".encode()).digest())}


def proof(pem: str, method: str, url: str, now: datetime, *, nonce: str, token: str) -> str:
    """That we hold the key, for this one request. `url` counts without its query; the token by its digest."""
    claims = {
        "jti": secrets.token_urlsafe(16),
        "htm": method,
        "htu": urlunsplit(urlsplit(url)._replace(query="", fragment="")),
        "iat": int(now.timestamp()),
    }
    claims |= {"nonce": nonce} if nonce else {}
    claims |= {"ath": _b64(hashlib.sha256(token.encode()).digest())} if token else {}
    jwk = {name: value for name, value in public_part(pem).items() if name != "kid"}
    return jwt.encode(claims, _key(pem), _ALGORITHM, headers={"typ": "dpop+jwt", "jwk": jwk})


def assertion(pem: str, client_id: str, issuer: str, now: datetime) -> dict[str, str]:
    """The parameters by which our app shows itself to the server `issuer`, for this one request."""
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": issuer,
        "jti": secrets.token_urlsafe(16),
        "iat": int(now.timestamp()),
        "exp": int((now + _LIVES).timestamp()),
    }
    signed = jwt.encode(claims, _key(pem), _ALGORITHM, headers={"kid": public_part(pem)["kid"]})
    return {"client_assertion_type": _BEARER, "client_assertion": signed}


def _key(pem: str) -> EllipticCurvePrivateKey:
    key = load_pem_private_key(pem.encode(), None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise TypeError("This is no key on an elliptic curve.")
    return key


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
