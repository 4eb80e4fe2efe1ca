"""Every setting: its name, its default and one sentence that says what it does.

The environment comes first, then `.env` in the working directory, then the default. Names are the
same in both places and their case does not matter (the original service wrote `api_key`).
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

DATABASE_PARTS = ("DB_NAME", "DB_USER", "DB_PASSWORD", "DB_HOST", "DB_PORT")
SECRETS = frozenset(
    {"API_KEY", "DB_PASSWORD", "TOCSIN_DATABASE_URL", "TOCSIN_SECRET_KEY", "TOCSIN_SMTP_URL", "TOCSIN_HEARTBEAT_URL"}
)
POSTGRES_SCHEMES = ("postgresql", "postgres")
# Without user, password and fragment, which would not be sent.
PLAIN_URL = re.compile(r"https?://(\[[0-9a-f:.]+\]|[\w.-]+)(:\d+)?([/?][!-\"$-~]*)?", re.ASCII | re.IGNORECASE)


class WrongSettings(Exception):
    """The settings cannot be used; the message names each wrong one and says what would be right."""


def _mail_server(url: SecretStr) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.port == 0:
        raise ValueError
    return url


def _watcher(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    if PLAIN_URL.fullmatch(text) is None or urlsplit(text).port == 0:
        raise ValueError
    return url


def _ports(text: str) -> str:
    if any(each != "*" and not 1 <= int(each) <= 65535 for each in map(str.strip, text.split(",")) if each):
        raise ValueError
    return text


Seconds = Annotated[float, Field(gt=0, le=3600)]


class Settings(BaseModel):
    """The values that are in force. A field's alias is the name that users write."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    host: str = Field("127.0.0.1", alias="TOCSIN_HOST", description="Address to listen on; `0.0.0.0` is every one.")
    port: int = Field(8000, alias="TOCSIN_PORT", ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    data_dir: Path = Field(
        Path("data"), alias="TOCSIN_DATA_DIR", description="Where SQLite and the first key live; made with mode 0700."
    )
    database_url: SecretStr | None = Field(
        None,
        alias="TOCSIN_DATABASE_URL",
        description="`postgresql://user:password@host:port/name` as libpq takes it; without it SQLite.",
    )
    workers: int = Field(
        1, alias="TOCSIN_WORKERS", ge=1, le=64, description="Server processes; more than one needs PostgreSQL."
    )
    rate_limit: int = Field(
        1000,
        alias="TOCSIN_RATE_LIMIT",
        ge=0,
        le=10_000_000,
        description="Requests a second that one key may make; 0 switches the limit off.",
    )
    address_rate_limit: int = Field(
        20,
        alias="TOCSIN_ADDRESS_RATE_LIMIT",
        ge=0,
        le=10_000_000,
        description="Requests a second without a valid key that one address may make; 0 switches the limit off.",
    )
    api_key: SecretStr | None = Field(
        None,
        alias="API_KEY",
        description="An admin key given from outside; it is never stored, and no first key is made beside it.",
    )
    secret_key: SecretStr | None = Field(
        None,
        alias="TOCSIN_SECRET_KEY",
        min_length=32,
        description="Seals channel secrets and signs links; without it `secret-key` in the data directory does.",
    )
    public_url: str | None = Field(
        None,
        alias="TOCSIN_PUBLIC_URL",
        pattern=r"^https?://[^/\s?#]+(/[^\s?#]*)?$",
        description="Where people reach this server, for links in messages; without it its own address.",
    )
    keep_raw: int = Field(
        90, alias="TOCSIN_KEEP_RAW", ge=0, le=36500, description="Days that raw payloads of reports are kept."
    )
    raw_cap: int = Field(
        65536,
        alias="TOCSIN_RAW_CAP",
        ge=0,
        le=1048576,
        description="Bytes of one report's raw payload that are kept; the rest is cut.",
    )
    free_space_floor: int = Field(
        512,
        alias="TOCSIN_FREE_SPACE_FLOOR",
        ge=0,
        le=1048576,
        description="SQLite: MiB free on the disk below which raw payloads go; reports stay. 0 switches it off.",
    )
    smtp_url: Annotated[SecretStr, AfterValidator(_mail_server)] | None = Field(
        None,
        alias="TOCSIN_SMTP_URL",
        description="`smtp://user:password@host:587` (STARTTLS where offered) or `smtps://…`: the way of e-mail.",
    )
    mail_from: str | None = Field(
        None, alias="TOCSIN_MAIL_FROM", description="The sender of e-mails, such as `Tocsin <tocsin@example.com>`."
    )
    allowed_targets: str = Field(
        "",
        alias="TOCSIN_ALLOWED_TARGETS",
        description="Private hosts or networks, by commas, that channels may send to, such as `10.0.0.0/8, ntfy.lan`.",
    )
    allowed_ports: Annotated[str, AfterValidator(_ports)] = Field(
        "80,443,8080,8443",
        alias="TOCSIN_ALLOWED_PORTS",
        description="Ports, by commas, that channels may send to.",
    )
    telegram_api: str = Field(
        "https://api.telegram.org",
        alias="TOCSIN_TELEGRAM_API",
        pattern=r"^https?://[^/\s?#]+$",
        description="Where Telegram's Bot API is; a Bot API server of your own may stand here.",
    )
    heartbeat_url: Annotated[SecretStr, AfterValidator(_watcher)] | None = Field(
        None,
        alias="TOCSIN_HEARTBEAT_URL",
        description="The watcher's address: asked (GET) while Tocsin can write, so that its silence is an alarm.",
    )
    heartbeat_every: float = Field(
        60.0,
        alias="TOCSIN_HEARTBEAT_EVERY",
        ge=1,
        le=86400,
        description="Seconds between two signs of life to the watcher.",
    )
    database_pooler: bool = Field(
        False,
        alias="TOCSIN_DATABASE_POOLER",
        description="`on` behind PgBouncer in transaction mode: switches statement caches off.",
    )
    lock_timeout: Seconds = Field(
        5.0,
        alias="TOCSIN_LOCK_TIMEOUT",
        description="PostgreSQL: seconds that a write waits for a lock; also after a broken COMMIT.",
    )
    statement_timeout: Seconds = Field(
        10.0, alias="TOCSIN_STATEMENT_TIMEOUT", description="PostgreSQL: seconds that one statement may take."
    )
    idle_timeout: Seconds = Field(
        10.0,
        alias="TOCSIN_IDLE_IN_TRANSACTION_TIMEOUT",
        description="PostgreSQL: seconds after which a transaction that a dead process left open is ended.",
    )
    header_deadline: Seconds = Field(
        10.0, alias="TOCSIN_HEADER_DEADLINE", description="Seconds in which a request's headers must arrive."
    )
    chunk_deadline: Seconds = Field(
        10.0, alias="TOCSIN_CHUNK_DEADLINE", description="Seconds that may pass between two pieces of a body."
    )
    body_deadline: Seconds = Field(
        60.0, alias="TOCSIN_BODY_DEADLINE", description="Seconds in which a whole body must arrive."
    )
    stop_grace: Seconds = Field(
        20.0, alias="TOCSIN_STOP_GRACE", description="Seconds that requests in flight get to end when the server stops."
    )
    trusted_proxies: str = Field(
        "127.0.0.1",
        alias="TOCSIN_TRUSTED_PROXIES",
        description="Addresses, by commas, whose `X-Forwarded-For` and `-Proto` are believed.",
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", alias="TOCSIN_LOG_FORMAT", description="`json`, `console`, or `auto`: console in a terminal, else json."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", alias="TOCSIN_LOG_LEVEL", description="The least important line that is logged."
    )
    access_log: bool = Field(True, alias="TOCSIN_ACCESS_LOG", description="Log a line for every request.")
    debug: bool = Field(
        False, alias="DEBUG", description="The original's switch: `True` lowers the log level to `debug`."
    )
    db_name: str | None = Field(
        None, alias="DB_NAME", description="The original's database settings, all five or none."
    )
    db_user: str | None = Field(None, alias="DB_USER", description="See `DB_NAME`.")
    db_password: SecretStr | None = Field(None, alias="DB_PASSWORD", description="See `DB_NAME`.")
    db_host: str | None = Field(None, alias="DB_HOST", description="See `DB_NAME`.")
    db_port: int | None = Field(None, alias="DB_PORT", ge=1, le=65535, description="See `DB_NAME`.")

    @model_validator(mode="after")
    def _database_makes_sense(self) -> "Settings":
        given = [name for name in DATABASE_PARTS if getattr(self, name.lower()) is not None]
        if self.database_url is not None:
            scheme = urlsplit(self.database_url.get_secret_value()).scheme
            if scheme not in POSTGRES_SCHEMES:
                raise ValueError(
                    "TOCSIN_DATABASE_URL must begin with postgresql://; leave it out for SQLite in the data directory"
                )
        elif given and len(given) < len(DATABASE_PARTS):
            missing = ", ".join(name for name in DATABASE_PARTS if name not in given)
            raise ValueError(
                f"beside {', '.join(given)} these are missing: {missing}. Set all five, or TOCSIN_DATABASE_URL, "
                "or none of them for SQLite"
            )
        if self.workers > 1 and self.postgres_url is None:
            raise ValueError(
                f"TOCSIN_WORKERS={self.workers} needs PostgreSQL (TOCSIN_DATABASE_URL): SQLite has one writing process"
            )
        return self

    @property
    def postgres_url(self) -> str | None:
        """The database in libpq's form, from the URL or from `DB_*`; None means SQLite."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        if self.db_name is None or self.db_user is None or self.db_password is None or self.db_host is None:
            return None
        user, password = quote(self.db_user, safe=""), quote(self.db_password.get_secret_value(), safe="")
        host = f"[{self.db_host}]" if ":" in self.db_host else self.db_host
        return f"postgresql://{user}:{password}@{host}:{self.db_port}/{quote(self.db_name, safe='')}"

    @property
    def address(self) -> str:
        """Where people reach this server, as far as its settings say."""
        if self.public_url is not None:
            return self.public_url.rstrip("/")
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host  # noqa: S104 - not listened on here
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def sqlite_file(self) -> Path:
        """Where SQLite keeps the register when no PostgreSQL is named."""
        return self.data_dir / "tocsin.db"


NAMES = tuple(str(field.alias) for field in Settings.model_fields.values())


def load(environ: Mapping[str, str] | None = None, env_file: Path = Path(".env")) -> Settings:
    """The settings in force; raises `WrongSettings` with a sentence for each wrong one."""
    given, _ = gather(os.environ if environ is None else environ, env_file)
    try:
        return Settings(**given)
    except ValidationError as problem:
        raise WrongSettings("\n".join(_sentence(error) for error in problem.errors())) from None


def gather(environ: Mapping[str, str], env_file: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Every given value by its setting's name, and where each came from. An empty value is no value."""
    given: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for place, values in ((".env", _dotenv(env_file)), ("environment", environ)):
        for name, value in values.items():
            if name.upper() in NAMES and value:
                given[name.upper()], origin[name.upper()] = value, place
    return given, origin


def unknown_names(environ: Mapping[str, str], env_file: Path) -> list[str]:
    """Names that look like ours and are none: most likely a slip of the pen."""
    names = {*environ, *_dotenv(env_file)}
    return sorted(name for name in names if name.upper().startswith("TOCSIN_") and name.upper() not in NAMES)


def shown(settings: Settings, name: str) -> str:
    """A setting's value as it may be printed: secrets masked, a URL without its password."""
    value = next(getattr(settings, key) for key, field in Settings.model_fields.items() if field.alias == name)
    if value is None:
        return ""
    if name == "TOCSIN_DATABASE_URL":
        return without_password(value.get_secret_value())
    if name in SECRETS:
        return "********"
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def without_password(url: str) -> str:
    """A database URL as it may be shown: `postgresql://user:***@host/name`."""
    parts = urlsplit(url)
    who, at, where = parts.netloc.rpartition("@")
    user, colon, _ = who.partition(":")
    netloc = f"{user}{':***' if colon else ''}{at}{where}"
    # libpq also takes the password from the query, where it hides no better.
    query = "&".join("password=***" if p.startswith("password=") else p for p in parts.query.split("&") if p)
    return f"{parts.scheme}://{netloc}{parts.path}{'?' if query else ''}{query}"


def _dotenv(env_file: Path) -> dict[str, str]:
    try:
        return {name: value or "" for name, value in dotenv_values(env_file, interpolate=False).items()}
    except (OSError, UnicodeDecodeError) as problem:
        raise WrongSettings(f"{env_file} cannot be read: {problem}") from None


def _sentence(error: Any) -> str:
    """One of pydantic's errors as a sentence that begins with the setting's name."""
    if not error["loc"]:
        return str(error["msg"]).removeprefix("Value error, ")
    name = str(error["loc"][0])
    words = WORDS.get(name) or WORDS.get(error["type"], "{msg}")
    text = words.format(msg=error["msg"], **error.get("ctx", {}))
    value = "" if name in SECRETS else f"={error['input']}"
    return f"{name}{value} is not usable: it {text}"


WORDS = {
    "int_parsing": "must be a whole number",
    "int_parsing_size": "has too many digits",
    "float_parsing": "must be a number",
    "bool_parsing": "must be on or off",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "TOCSIN_SMTP_URL": "must be smtp://user:password@host:587, or smtps:// with TLS from the start",
    "TOCSIN_HEARTBEAT_URL": "must be like https://hc-ping.com/your-check, without user, password and #",
    "TOCSIN_ALLOWED_PORTS": "must be ports from 1 to 65535 by commas, such as `80,443`, or `*` for any",
}
