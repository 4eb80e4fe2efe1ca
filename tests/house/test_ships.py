"""What Tocsin ships in: the image, the compose file, `.env.example`, the licence.

No container engine is needed: the files are read as text, and `docker-compose config`, where it is installed, says what
it understands. Where neither it nor `docker compose` is, that part warns and says that it was not tested.
"""

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

import tocsin
from tests.house import write_settings
from tocsin.settings import NAMES, Settings, load

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
ORIGINAL_ENV = EXAMPLE.split("\n\n# Tocsin's own settings")[0] + "\n"


def test_the_image_runs_the_program_as_itself_and_not_as_root() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    user = re.search(r"^USER (\d+):\d+$", final, re.MULTILINE)
    assert user, "by number, so that an orchestrator can see that it is not root"
    assert int(user[1]) > 0
    assert 'ENTRYPOINT ["tocsin"]' in final
    assert 'CMD ["serve"]' in final
    assert "VOLUME /data" in final
    for setting in ("TOCSIN_HOST=0.0.0.0", "TOCSIN_DATA_DIR=/data", "STOPSIGNAL SIGTERM"):
        assert setting in final


def test_the_image_says_which_version_it_holds() -> None:
    assert f'org.opencontainers.image.version="{tocsin.__version__}"' in DOCKERFILE


def test_the_image_installs_what_the_lock_file_says() -> None:
    syncs = re.findall(r"uv sync .*", DOCKERFILE)
    assert syncs
    assert all("--frozen --no-dev" in sync for sync in syncs)
    assert "RUN --mount" not in DOCKERFILE, "docker-compose 1.x builds without BuildKit"
    assert "<<EOF" not in DOCKERFILE, "docker-compose 1.x builds without BuildKit"


def test_the_image_gets_what_it_copies_and_nothing_else() -> None:
    ignore = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert ignore[0] == "*"
    allowed = {line[1:] for line in ignore if line.startswith("!")}
    copies = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    assert {name for copy in copies for name in copy.split()} == allowed
    assert all((ROOT / name).exists() for name in allowed)


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_asks_livez(status: int, healthy: bool) -> None:
    asked: list[str] = []

    class Stand(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Stand) as stand:
        threading.Thread(target=stand.serve_forever, daemon=True).start()
        # A proxy in the environment must not be asked for the container's own address.
        environment = {"TOCSIN_PORT": str(stand.server_port), "http_proxy": "http://127.0.0.1:1"}
        done = subprocess.run(health_check(), env=environment, check=False, timeout=30)
        stand.shutdown()
    assert (done.returncode == 0, asked) == (healthy, ["/livez"])


def test_a_health_check_without_a_server_fails() -> None:
    environment = {"TOCSIN_PORT": "1"}
    assert subprocess.run(health_check(), env=environment, check=False, capture_output=True, timeout=30).returncode


def test_env_example_is_what_the_settings_say() -> None:
    assert write_settings.env_example() == EXAMPLE, "run: python -m tests.house.write_docs"


def test_every_setting_stands_in_one_group() -> None:
    assert not write_settings.left_out(), "give it its place in GROUPS, tests/house/write_settings.py"


def test_env_example_as_it_is_changes_no_setting_of_ours(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(EXAMPLE, encoding="utf-8")
    ours = {field for field, about in Settings.model_fields.items() if str(about.alias).startswith("TOCSIN_")}
    assert load({}, tmp_path / ".env").model_dump(include=ours) == load({}, tmp_path / "none").model_dump(include=ours)


def test_what_env_example_offers_can_be_taken(tmp_path: Path) -> None:
    offered = re.findall(r"^#([A-Z_]+=.*)$", EXAMPLE, re.MULTILINE)
    assert {line.partition("=")[0] for line in offered} == {name for name in NAMES if name.startswith("TOCSIN_")}
    (tmp_path / ".env").write_text("\n".join(offered), encoding="utf-8")
    plain, taken = load({}, tmp_path / "none"), load({}, tmp_path / ".env")
    given = {str(Settings.model_fields[field].alias) for field, value in taken if value != getattr(plain, field)}
    assert given == {name for name, value in write_settings.EXAMPLES.items() if value}


def test_the_licence_is_apache_2() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License\n                           Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence


def test_compose_shares_one_network_and_publishes_one_port() -> None:
    assert COMPOSE.count("network_mode: service:net") == 2
    assert COMPOSE.count('- "host.docker.internal:host-gateway"') == 1
    assert re.findall(r"ports:\n\s+- (.*)", COMPOSE) == ['"${TOCSIN_PORT:-8000}:8000"']
    assert re.search(r"^(version|name):", COMPOSE, re.MULTILINE) is None


def test_both_services_mean_the_same_database() -> None:
    words = re.findall(r"\$\{(DB_[A-Z]+)(:-\w+)\}", COMPOSE)
    defaults = dict(words)
    assert sorted(words) == sorted([*defaults.items(), *((n, d) for n, d in defaults.items() if n != "DB_HOST")])
    assert {f"{name}={default[2:]}" for name, default in defaults.items()} <= set(ORIGINAL_ENV.splitlines())


@pytest.fixture(scope="module")
def compose() -> list[list[str]]:
    """Every Compose that is installed here, old and new."""
    commands = [["docker-compose"], ["docker", "compose"]]
    found = [
        command
        for command in commands
        if shutil.which(command[0])
        and subprocess.run([*command, "version"], check=False, capture_output=True, timeout=60).returncode == 0
    ]
    if not found:
        reason = "compose.yaml was only read as text: neither docker-compose nor docker compose is here"
        warnings.warn(f"NOT TESTED: {reason}", stacklevel=1)
        pytest.skip(reason)
    return found


@pytest.mark.parametrize(
    ("env", "told"),
    [
        (ORIGINAL_ENV, {"DB_HOST": "localhost", "DEBUG": "False", "api_key": "your_api_key_here"}),
        (ORIGINAL_ENV.replace("=localhost", "=host.docker.internal"), {"DB_HOST": "host.docker.internal"}),
        (ORIGINAL_ENV.replace("=5432", "=5433"), {"DB_PORT": "5433"}),
        ("api_key=k\nDB_PASSWORD='p@:/%$word\"$$'\n", {"DB_PASSWORD": 'p@:/%$word"$$', "DB_PORT": "5432"}),
        ("TOCSIN_WORKERS=2\n", {"TOCSIN_WORKERS": "2", "DB_NAME": "database", "DB_HOST": "localhost"}),
        (
            "TOCSIN_HOST=127.0.0.1\nTOCSIN_PORT=9\nTOCSIN_DATA_DIR=d\n",
            {"TOCSIN_HOST": "0.0.0.0", "TOCSIN_PORT": "8000"},
        ),
    ],
)
def test_compose_hands_the_env_file_on(
    compose: list[list[str]], env: str, told: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(env, encoding="utf-8")
    for command in compose:
        text = configured(command, tmp_path)
        program, database = environment_of(text, "tocsin"), environment_of(text, "db")
        assert program.items() >= told.items()
        for ours, theirs in (("DB_NAME", "POSTGRES_DB"), ("DB_USER", "POSTGRES_USER"), ("DB_PORT", "PGPORT")):
            assert program[ours] == database[theirs]
        assert program["DB_PASSWORD"] == database["POSTGRES_PASSWORD"]


def test_compose_without_an_env_file_says_so(compose: list[list[str]], tmp_path: Path) -> None:
    for command in compose:
        with pytest.raises(AssertionError, match=r"\.env"):
            configured(command, tmp_path)


def health_check() -> list[str]:
    """The image's health check, with this Python for the image's."""
    line = re.search(r"^HEALTHCHECK .*\\\n\s+CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert line, "in the exec form"
    python, *rest = json.loads(line[1])
    assert python == "python"
    return [sys.executable, *rest]


def configured(command: list[str], folder: Path) -> str:
    """The compose file in this folder, beside its `.env`, as the tool understands it."""
    for name in ("compose.yaml", "Dockerfile"):
        shutil.copy(ROOT / name, folder)
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run(
        [*command, "config"], cwd=folder, env=clean, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment_of(text: str, service: str) -> dict[str, str]:
    """One service's environment in the output of `config`, which is plain enough to be read without a YAML library."""
    [block] = re.findall(rf"^  {service}:\n((?:    .*\n)+)", text, re.MULTILINE)
    [lines] = re.findall(r"^    environment:\n((?:      .*\n)+)", block, re.MULTILINE)
    pairs = (line.strip().split(": ", 1) for line in lines.splitlines())
    return {name: unquoted(value).replace("$$", "$") for name, value in pairs}


def unquoted(scalar: str) -> str:
    if scalar.startswith('"'):
        return str(json.loads(scalar))
    return scalar[1:-1].replace("''", "'") if scalar.startswith("'") else scalar
