"""The mail servers that a form's replies leave by. What comes in is typed into a page of ours: nothing is fetched."""

from collections.abc import Callable
from typing import ClassVar

from app.connectors import registry
from app.connectors.base import Connector, SettingsModel
from app.connectors.form import FormSettings
from tests.connectors.fakes.base import FakeChannel
from tests.connectors.fakes.email import FakeMail


class FakeForm(FakeMail):
    """A mail account that only sends."""

    connector: ClassVar[Connector] = registry.get("form")

    def settings(self) -> SettingsModel:  # type: ignore[override]
        return FormSettings(title="Write to Brand")


VARIANTS: dict[str, Callable[[], FakeChannel]] = {"form": FakeForm}
