"""Credentials as they are stored: JSON with their secrets, sealed for one account."""

import json
from typing import Any

from app.connectors.base import Connector, SettingsModel
from app.vault import Vault


def sealed_for(account_id: int) -> str:
    """What a sealed credential is bound to: it opens for no other account."""
    return f"account:{account_id}"


def revealed(model: SettingsModel) -> bytes:
    """Credentials as JSON with their secrets, to be sealed at once."""
    plain = model.model_dump(mode="python")
    return json.dumps(plain, default=_plain).encode()


def _plain(value: Any) -> str:
    if hasattr(value, "get_secret_value"):
        return str(value.get_secret_value())
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def stored(vault: Vault, connector: Connector, account_id: int, credentials: SettingsModel) -> dict[str, Any]:
    """The columns of an account that follow from its credentials."""
    return {
        "sealed": vault.seal(revealed(credentials), sealed_for(account_id)),
        "ends_at": connector.ends_at(credentials),
        "app": connector.app_of(credentials),
    }
