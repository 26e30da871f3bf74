"""Settings: the only reader of the environment. Every variable starts with `CARELINE_`, but `DATABASE_URL`."""

from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What the operator may set. Times are in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix="CARELINE_", env_file=None, extra="ignore", frozen=True)

    database_url: str = Field(
        default="",
        validation_alias=AliasChoices("DATABASE_URL", "CARELINE_DATABASE_URL"),
        description="Postgres to use (postgresql://user:password@host/name). Empty: the embedded one.",
    )
    data_dir: Path = Field(default=Path("var"), description="Where the embedded Postgres and the key file live.")
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(
        default=8000, validation_alias=AliasChoices("PORT", "CARELINE_PORT"), description="Port to listen on."
    )
    public_url: str = Field(
        default="", description="How browsers reach us (https://care.example.com). Empty: http://host:port."
    )
    trusted_proxies: str = Field(
        default="127.0.0.1", description="Proxies whose X-Forwarded-* headers are believed, comma separated."
    )
    key: SecretStr | None = Field(
        default=None, description="Sealing keys, base64 of 32 bytes, newest first, comma separated."
    )
    key_file: Path | None = Field(
        default=None, description="File with the sealing keys, one a line, newest first. Default: DATA_DIR/seal.key."
    )
    company: str = Field(default="Careline", description="The company's name, shown on the sign-in page.")
    allow_hosts: str = Field(
        default="", description="Names of private hosts that feeds may be fetched from, comma separated."
    )
    translator_url: str = Field(
        default="",
        description="Address of a LibreTranslate server that translates posts (https://translate.example.com). Empty: none.",
    )
    translator_key: SecretStr | None = Field(default=None, description="The translator's API key, if it asks for one.")
    max_body: int = Field(default=2_000_000, description="Largest request body that is read.")
    max_upload: int = Field(default=40_000_000, description="Largest request body with pictures for a reply.")
    max_import: int = Field(default=200_000_000, description="Largest request body with a file to import.")
    session_hours: int = Field(default=12, description="A sign-in ends after this time without use.")
    why_days: int = Field(
        default=30, ge=1, description="Why the router chose whom is kept for so many days after an offer ended."
    )
    wipe_deleted_days: Annotated[int | None, BeforeValidator(lambda given: None if given == "" else given)] = Field(
        default=None,
        ge=0,
        description="What a post said that its author deleted is wiped after so many days (0: at once). "
        "Empty: kept as history.",
    )
    pool_size: int = Field(default=10, description="Database connections of one process.")
    worker_concurrency: int = Field(default=8, description="Jobs that one worker process runs at once.")
    backlog_concurrency: int = Field(
        default=2,
        ge=1,
        description="First syncs and imported files that one worker process stores posts of at once.",
    )
    max_streams: int = Field(
        default=50,
        ge=0,
        le=80,
        description="Streams that one worker process keeps open at most; other feeds are polled.",
    )
    metrics_port: int = Field(
        default=0, description="Where `work` and `route` serve /metrics (on HOST); 0: nowhere. `serve` has it anyway."
    )
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")
    log_json: bool = Field(default=True, description="One JSON object a line; false for people.")

    @property
    def base_url(self) -> str:
        """The address that browsers use, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def secure(self) -> bool:
        """Whether browsers reach us over TLS, and cookies may be `__Host-` and `Secure`."""
        return self.base_url.startswith("https://")

    @property
    def seal_key_file(self) -> Path:
        """Where the sealing keys stand when they are not in the environment."""
        return self.key_file or self.data_dir / "seal.key"

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """Host names that the guarded transport may reach although their address is private."""
        return frozenset(h.strip().lower() for h in self.allow_hosts.split(",") if h.strip())


@lru_cache
def get_settings() -> Settings:
    """Read the environment once."""
    return Settings()
