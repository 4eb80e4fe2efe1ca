"""Settings: where they come from, what wins, what stops the start and in which words."""

from pathlib import Path

import pytest

from tocsin.settings import (
    NAMES,
    SECRETS,
    Settings,
    WrongSettings,
    gather,
    load,
    shown,
    unknown_names,
    without_password,
)

PARTS = {
    "DB_NAME": "incidents",
    "DB_USER": "user",
    "DB_PASSWORD": "password",
    "DB_HOST": "localhost",
    "DB_PORT": "5432",
}
NO_FILE = Path("/nonexistent/.env")


def of(**environ: str) -> Settings:
    return load(environ, NO_FILE)


def complaint(**environ: str) -> str:
    with pytest.raises(WrongSettings) as problem:
        load(environ, NO_FILE)
    return str(problem.value)


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    file = tmp_path / ".env"
    file.write_text('TOCSIN_PORT=8100\nTOCSIN_HOST="0.0.0.0"  # everywhere\napi_key=from-the-file\nDEBUG=True\n')
    return file


def test_without_anything_it_is_sqlite_on_this_machine_alone() -> None:
    settings = of()
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8000, 1)
    assert (settings.data_dir, settings.sqlite_file) == (Path("data"), Path("data/tocsin.db"))
    assert (settings.postgres_url, settings.api_key) == (None, None)
    assert (settings.rate_limit, settings.address_rate_limit) == (1000, 20)


def test_the_file_stands_in_for_the_environment(env_file: Path) -> None:
    settings = load({}, env_file)
    assert (settings.port, settings.host, settings.debug) == (8100, "0.0.0.0", True)
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "from-the-file"


def test_the_environment_wins_over_the_file(env_file: Path) -> None:
    assert load({"TOCSIN_PORT": "8200"}, env_file).port == 8200
    assert load({"tocsin_port": "8300"}, env_file).port == 8300


def test_each_value_says_where_it_came_from(env_file: Path) -> None:
    _, origin = gather({"TOCSIN_PORT": "8200"}, env_file)
    assert (origin["TOCSIN_PORT"], origin["TOCSIN_HOST"]) == ("environment", ".env")
    assert "TOCSIN_WORKERS" not in origin


def test_an_empty_value_is_no_value(env_file: Path) -> None:
    assert load({"TOCSIN_PORT": ""}, env_file).port == 8100
    assert of(TOCSIN_DATABASE_URL="", API_KEY="").postgres_url is None


def test_no_environment_is_looked_at_but_the_one_that_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_PORT", "9999")
    assert of().port == 8000


def test_the_files_values_are_taken_as_they_stand(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("API_KEY=a$HOME${HOME}b\n")
    key = load({}, file).api_key
    assert key is not None
    assert key.get_secret_value() == "a$HOME${HOME}b"


def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"API_KEY=\xff\xfe")
    with pytest.raises(WrongSettings, match=r"\.env cannot be read"):
        load({}, file)


# the wrong values, and what the sentence must say
WRONG: list[tuple[dict[str, str], list[str]]] = [
    ({"TOCSIN_PORT": "http"}, ["TOCSIN_PORT=http", "whole number"]),
    ({"TOCSIN_PORT": "65536"}, ["TOCSIN_PORT=65536", "65535"]),
    ({"TOCSIN_PORT": "-1"}, ["TOCSIN_PORT=-1", "at least 0"]),
    ({"TOCSIN_WORKERS": "0"}, ["TOCSIN_WORKERS=0", "at least 1"]),
    ({"TOCSIN_WORKERS": "65"}, ["TOCSIN_WORKERS=65", "at most 64"]),
    ({"TOCSIN_WORKERS": "2"}, ["TOCSIN_WORKERS=2", "PostgreSQL", "SQLite"]),
    ({"TOCSIN_RATE_LIMIT": "-5"}, ["TOCSIN_RATE_LIMIT=-5"]),
    ({"TOCSIN_RATE_LIMIT": "many"}, ["TOCSIN_RATE_LIMIT=many"]),
    ({"TOCSIN_DATABASE_POOLER": "perhaps"}, ["TOCSIN_DATABASE_POOLER=perhaps"]),
    ({"TOCSIN_LOCK_TIMEOUT": "0"}, ["TOCSIN_LOCK_TIMEOUT=0"]),
    ({"TOCSIN_BODY_DEADLINE": "3601"}, ["TOCSIN_BODY_DEADLINE=3601", "3600"]),
    ({"TOCSIN_BODY_DEADLINE": "nan"}, ["TOCSIN_BODY_DEADLINE=nan"]),
    ({"TOCSIN_LOG_FORMAT": "xml"}, ["TOCSIN_LOG_FORMAT=xml", "json"]),
    ({"TOCSIN_LOG_LEVEL": "loud"}, ["TOCSIN_LOG_LEVEL=loud", "warning"]),
    ({"DEBUG": "maybe"}, ["DEBUG=maybe"]),
    ({"TOCSIN_DATABASE_URL": "mysql://u:secret@h/d"}, ["TOCSIN_DATABASE_URL", "postgresql://"]),
    ({"TOCSIN_DATABASE_URL": "sqlite:///x.db"}, ["TOCSIN_DATABASE_URL", "postgresql://"]),
    (PARTS | {"DB_PORT": "x"}, ["DB_PORT=x"]),
    ({"TOCSIN_SMTP_URL": "mail.example.com:25"}, ["TOCSIN_SMTP_URL is not usable", "smtp://"]),
    ({"TOCSIN_SMTP_URL": "smtp://u:secret@mail:xx"}, ["TOCSIN_SMTP_URL is not usable", "smtp://"]),
    ({"TOCSIN_SMTP_URL": "smtp://:25"}, ["TOCSIN_SMTP_URL is not usable", "smtp://"]),
    ({"TOCSIN_HEARTBEAT_URL": "hc-ping.com/1"}, ["TOCSIN_HEARTBEAT_URL is not usable", "https://hc-ping.com"]),
    ({"TOCSIN_HEARTBEAT_URL": "ftp://watch/1"}, ["TOCSIN_HEARTBEAT_URL is not usable"]),
    ({"TOCSIN_HEARTBEAT_URL": "http://watch:0/1"}, ["TOCSIN_HEARTBEAT_URL is not usable"]),
    ({"TOCSIN_HEARTBEAT_URL": "http://watch:65536/1"}, ["TOCSIN_HEARTBEAT_URL is not usable"]),
    ({"TOCSIN_HEARTBEAT_URL": "http://me:secret@watch/1"}, ["TOCSIN_HEARTBEAT_URL is not usable", "password"]),
    ({"TOCSIN_HEARTBEAT_URL": "http://watch/a b"}, ["TOCSIN_HEARTBEAT_URL is not usable"]),
    ({"TOCSIN_HEARTBEAT_EVERY": "0"}, ["TOCSIN_HEARTBEAT_EVERY=0 is not usable", "at least 1"]),
    ({"TOCSIN_ALLOWED_PORTS": "80;443"}, ["TOCSIN_ALLOWED_PORTS=80;443", "by commas"]),
    ({"TOCSIN_ALLOWED_PORTS": "80,http"}, ["TOCSIN_ALLOWED_PORTS=80,http", "65535"]),
    ({"TOCSIN_ALLOWED_PORTS": "0"}, ["TOCSIN_ALLOWED_PORTS=0", "65535"]),
]


@pytest.mark.parametrize(("environ", "words"), WRONG)
def test_a_wrong_value_is_told_in_one_sentence_that_names_it(environ: dict[str, str], words: list[str]) -> None:
    said = complaint(**environ)
    assert len(said.splitlines()) == 1
    for word in words:
        assert word in said
    assert "secret" not in said


def test_several_wrong_values_are_all_told() -> None:
    assert len(complaint(TOCSIN_PORT="x", TOCSIN_WORKERS="0", DEBUG="?").splitlines()) == 3


@pytest.mark.parametrize("missing", PARTS)
def test_a_part_of_the_originals_settings_stops_the_start_and_names_what_is_missing(missing: str) -> None:
    said = complaint(**{name: value for name, value in PARTS.items() if name != missing})
    assert missing in said
    assert "password" not in said.replace("DB_PASSWORD", "")


def test_one_part_alone_names_the_other_four() -> None:
    said = complaint(DB_HOST="localhost")
    for name in PARTS:
        assert name in said


def test_the_url_wins_over_the_parts_even_over_some_of_them() -> None:
    url = "postgres://u:p@h/d?sslmode=require"
    assert of(TOCSIN_DATABASE_URL=url, **PARTS).postgres_url == url
    assert of(TOCSIN_DATABASE_URL=url, DB_HOST="localhost").postgres_url == url


@pytest.mark.parametrize(
    ("part", "value", "url"),
    [
        ("DB_PASSWORD", "password", "postgresql://user:password@localhost:5432/incidents"),
        ("DB_PASSWORD", "p@s:s/w%d?#", "postgresql://user:p%40s%3As%2Fw%25d%3F%23@localhost:5432/incidents"),
        ("DB_PASSWORD", "пароль", "postgresql://user:%D0%BF%D0%B0%D1%80%D0%BE%D0%BB%D1%8C@localhost:5432/incidents"),
        ("DB_USER", "a@b", "postgresql://a%40b:password@localhost:5432/incidents"),
        ("DB_NAME", "a/b", "postgresql://user:password@localhost:5432/a%2Fb"),
        ("DB_HOST", "::1", "postgresql://user:password@[::1]:5432/incidents"),
        ("DB_HOST", "db.example", "postgresql://user:password@db.example:5432/incidents"),
        ("DB_PORT", "6432", "postgresql://user:password@localhost:6432/incidents"),
    ],
)
def test_the_parts_make_a_url_whatever_is_in_them(part: str, value: str, url: str) -> None:
    assert of(**PARTS | {part: value}).postgres_url == url


def test_several_workers_are_fine_on_postgresql() -> None:
    assert of(TOCSIN_WORKERS="4", **PARTS).workers == 4


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://u:p@h:5432/d", "postgresql://u:***@h:5432/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql://h/d", "postgresql://h/d"),
        ("postgresql://u:p@a:1,b:2/d?target_session_attrs=read-write",
         "postgresql://u:***@a:1,b:2/d?target_session_attrs=read-write"),
        ("postgresql:///d?user=u&password=p", "postgresql:///d?user=u&password=***"),
        ("postgresql://u:p%40x@[::1]:5432/d", "postgresql://u:***@[::1]:5432/d"),
        ("postgresql://u:p@x@h/d", "postgresql://u:***@h/d"),
    ],
)  # fmt: skip
def test_a_url_is_shown_without_its_password(url: str, masked: str) -> None:
    assert without_password(url) == masked
    assert shown(of(TOCSIN_DATABASE_URL=url), "TOCSIN_DATABASE_URL") == masked


def test_secrets_are_masked_and_nothing_else_is() -> None:
    settings = of(API_KEY="s3cret", **PARTS | {"DB_PASSWORD": "s3cret"})
    for name in NAMES:
        assert "s3cret" not in shown(settings, name)
    assert (shown(settings, "API_KEY"), shown(settings, "DB_PASSWORD")) == ("********", "********")
    assert (shown(settings, "DB_USER"), shown(settings, "TOCSIN_PORT")) == ("user", "8000")
    assert (shown(settings, "TOCSIN_ACCESS_LOG"), shown(settings, "DEBUG")) == ("on", "off")
    assert shown(of(), "API_KEY") == ""
    assert "s3cret" not in repr(settings)
    assert set(NAMES) >= SECRETS


def test_names_that_look_like_ours_and_are_none_are_found(env_file: Path) -> None:
    env_file.write_text("TOCSIN_PROT=1\nOTHER=1\n")
    found = unknown_names({"TOCSIN_WORKER": "1", "tocsin_hots": "1", "TOCSIN_PORT": "1", "PATH": "/"}, env_file)
    assert found == ["TOCSIN_PROT", "TOCSIN_WORKER", "tocsin_hots"]
