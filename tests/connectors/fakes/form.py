"""The mail servers that a form's replies leave by. What comes in is typed into a page of ours: nothing is fetched."""

from collections.abc import Callable, Mapping
from typing import ClassVar

from app.connectors import registry
from app.connectors.base import Connector, IncomingPost, SettingsModel
from app.connectors.form import FormSettings, Submission, post_of
from app.connectors.testing import Gives
from app.connectors.testing.fake import FakeChannel
from tests.connectors.fakes.email import FakeMail

NOTHING_FETCHED = "people type into a page of Careline: nothing is fetched or delivered"


class FakeForm(FakeMail):
    """The page, and a mail account that only sends."""

    connector: ClassVar[Connector] = registry.get("form")
    cannot = frozenset({"parents", "threads"})  # an answer is the first mail of its conversation
    cannot_give: Mapping[Gives, str] = dict.fromkeys(
        (Gives.FORWARD, Gives.BACKWARD, Gives.RESTARTS, Gives.UNKNOWN, Gives.DUPLICATES, Gives.EXPIRY), NOTHING_FETCHED
    ) | dict.fromkeys((Gives.DELETIONS, Gives.EDITS), "what was handed in stays as it was handed in")

    def __init__(self) -> None:
        super().__init__()
        self.handed_in: list[IncomingPost] = []

    def arrive(self, text: str, *, by: str = "ada", under: str | None = None, direct: bool = False) -> str:
        reference, address = f"AAAA-{len(self.handed_in):04}", f"{by}@cust.test"
        given = Submission(reference, text, "", by.title(), address, "", self.tick())
        self.handed_in.append(post_of(given, "Write to Brand"))
        return self.handed_in[-1].external_id

    def remove(self, external_id: str) -> None:
        (post,) = [one for one in self.handed_in if one.external_id == external_id]
        self.gone.add(post.author.external_id)

    def typed(self) -> list[IncomingPost]:
        return self.handed_in

    def settings(self) -> SettingsModel:  # type: ignore[override]
        return FormSettings(title="Write to Brand")


VARIANTS: dict[str, Callable[[], FakeChannel]] = {"form": FakeForm}
