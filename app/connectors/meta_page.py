"""What Facebook and Instagram share: both hang on a Page, and take answers for a while only."""

from datetime import datetime
from typing import Any, ClassVar

from app.connectors.base import Json, Link, SettingsModel, Visibility, Window
from app.connectors.guide import OAuth
from app.connectors.meta_account import PageCredentials, lasting
from app.connectors.meta_app import AppConnector
from app.connectors.meta_messages import MESSAGE, message_window, private_window


class PageConnector(AppConnector):
    """A Page, or what hangs on one: signed in to by Facebook Login, or with the token of a system user."""

    Credentials: ClassVar[type[SettingsModel] | None] = PageCredentials

    def sign_in(self, credentials: Any) -> OAuth | None:
        """By Facebook Login, unless a system user's token was given."""
        return None if credentials.system_token.get_secret_value() else super().sign_in(credentials)

    async def signed_in(self, link: Link) -> SettingsModel:
        """Change the short token for lasting ones."""
        return await lasting(link)

    def window(self, settings: Any, to: Json, visibility: Visibility, now: datetime) -> Window | None:
        """24 hours for a message, seven days with the tag of a person; seven days for one private reply to a comment."""
        if to.get("kind") == MESSAGE:
            return message_window(to, human_agent=settings.human_agent)
        return private_window(to, possible=bool(to.get("private"))) if visibility is Visibility.DIRECT else None
