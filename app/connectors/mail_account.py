"""A mail account: how to get into the mailbox, and as whom replies go out."""

from contextlib import AbstractAsyncContextManager
from typing import Annotated

import aiosmtplib
from pydantic import AfterValidator, Field, SecretStr

from app.connectors.base import Link, SettingsModel
from app.connectors.mail_smtp import submission
from app.connectors.mail_tls import Security, Server, check_authority
from app.errors import Refused
from app.i18n import N_, _


def checked_address(value: str) -> str:
    """An address as it is stored. Raises ValueError, in words, when it is none."""
    value = value.strip().lower()
    local, at, domain = value.rpartition("@")
    if not (local and at and "." in domain and value.isprintable()) or any(c in value for c in ' <>",;:\\'):
        message = _("Give an address like care@example.com.")
        raise ValueError(message)
    return value


class MailCredentials(SettingsModel):
    """How to get in, and as whom replies go out."""

    address: Annotated[str, AfterValidator(checked_address)] = Field(
        title=N_("Address"), description=N_("Replies come from it."), max_length=250, examples=["care@example.com"]
    )
    name: str = Field(default="", title=N_("Name beside the address"), max_length=100, examples=["Northwind Care"])
    user: str = Field(default="", title=N_("User name"), description=N_("Empty: the address."), max_length=250)
    password: SecretStr = Field(
        title=N_("Password"),
        description=N_("Where the provider asks for a second factor, an app password."),
        min_length=1,
    )
    imap_host: str = Field(title=N_("IMAP server"), max_length=250, min_length=1, examples=["imap.example.com"])
    imap_port: int = Field(default=993, title=N_("IMAP port"), ge=1, le=65535)
    imap_security: Security = Field(default=Security.TLS, title=N_("IMAP is protected by"))
    smtp_host: str = Field(
        default="",
        title=N_("SMTP server"),
        description=N_("For submission, not the one that other servers deliver to. Empty: no replies."),
        max_length=250,
        examples=["smtp.example.com"],
    )
    smtp_port: int = Field(default=465, title=N_("SMTP port"), ge=1, le=65535)
    smtp_security: Security = Field(default=Security.TLS, title=N_("SMTP is protected by"))
    authority: Annotated[str, AfterValidator(check_authority)] = Field(
        default="",
        title=N_("Certificate of your own authority"),
        description=N_("In PEM form, where the servers' certificates are not from a public one."),
        max_length=20_000,
    )

    @property
    def login(self) -> str:
        """The name to sign in with."""
        return self.user or self.address

    @property
    def inbox(self) -> Server:
        """Where mails are read."""
        return Server(self.imap_host, self.imap_port, self.imap_security, self.authority)

    @property
    def outbox(self) -> Server:
        """Where mails are handed over. Raises Refused when there is none."""
        if not self.smtp_host:
            raise Refused(N_("The account has no SMTP server, so it cannot reply. Add one to the account."))
        return Server(self.smtp_host, self.smtp_port, self.smtp_security, self.authority)


def submitting(link: Link) -> AbstractAsyncContextManager[aiosmtplib.SMTP]:
    """A signed-in connection to the account's submission server."""
    known = link.credentials
    password = known.password.get_secret_value()
    return submission(link.dial, known.outbox, known.login, password, known.address.rpartition("@")[2])
