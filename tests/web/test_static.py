"""What is served under /static/: only our files, unchanged, and nothing that calls another host."""

import gzip
import hashlib
import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import pytest

from tocsin.web.static import KINDS, Asset, asset

STATIC = resources.files("tocsin.web") / "static"
OURS = ["tocsin.css", "pages.css", "docs.css", "docs.js", "console.css", "console.js", "bell.svg"]
SWAGGER = "vendor/swagger-ui"
HTMX = "vendor/htmx"
AXE = Path(__file__).parent / "vendor"


def found(path: str) -> Asset:
    file = asset(path)
    assert file, path
    return file


def checksums(folder: Traversable) -> dict[str, str]:
    text = (folder / "VENDOR.md").read_text()
    return dict(re.findall(r"^\| `([^`]+)` \| `([0-9a-f]{64})` \|$", text, re.MULTILINE))


@pytest.mark.parametrize("path", [*OURS, f"{SWAGGER}/swagger-ui.css", f"{SWAGGER}/swagger-ui-bundle.js"])
def test_a_file_comes_with_its_type_its_tag_and_a_smaller_form(path: str) -> None:
    file = found(path)
    assert file.body == (STATIC / path).read_bytes()
    assert file.kind == KINDS[path.rpartition(".")[2]]
    assert file.etag == b'W/"%s"' % hashlib.sha256(file.body).hexdigest().encode()
    if file.gzipped is not None:
        assert gzip.decompress(file.gzipped) == file.body
        assert len(file.gzipped) < len(file.body)
    assert asset(path) is file


def test_the_large_files_travel_compressed() -> None:
    bundle = found(f"{SWAGGER}/swagger-ui-bundle.js")
    assert bundle.gzipped
    assert len(bundle.gzipped) < len(bundle.body) / 2


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "..",
        "../pages.py",
        "../templates/landing.html",
        "vendor",
        "vendor/",
        "./tocsin.css",
        "/tocsin.css",
        "//tocsin.css",
        "tocsin.css/",
        "tocsin.css\0",
        "vendor/../tocsin.css",
        "vendor\\swagger-ui\\swagger-ui.css",
        "%2e%2e/pages.py",
        "/etc/passwd",
        f"{SWAGGER}/VENDOR.md",
        f"{SWAGGER}/LICENSE",
    ],
)
def test_any_other_path_is_nothing(path: str) -> None:
    assert asset(path) is None


@pytest.mark.parametrize("folder", [STATIC / SWAGGER, STATIC / HTMX, AXE], ids=["swagger-ui", "htmx", "axe-core"])
def test_the_vendored_files_are_the_ones_that_were_published(folder: Traversable) -> None:
    kept = {item.name for item in folder.iterdir()} - {"VENDOR.md"}
    assert checksums(folder).keys() == kept, "VENDOR.md lists every file, and no other"
    for name, checksum in checksums(folder).items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == checksum, name


@pytest.mark.parametrize("path", OURS)
def test_our_own_files_name_no_other_host(path: str) -> None:
    text = found(path).body.decode().replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|//\w+\.|@import|url\(", text)


def test_swagger_ui_keeps_no_key_and_asks_no_validator() -> None:
    text = found("docs.js").body.decode()
    for setting in (
        'url: "/openapi.json"',
        "persistAuthorization: false",
        "queryConfigEnabled: false",
    ):
        assert setting in text
    assert "validatorUrl: null" in text


def test_the_words_stand_out_from_the_paper_in_light_and_in_dark() -> None:
    """WCAG 2.2 AA: 4.5 to 1 for text, on every ground that the text stands on."""
    light, dark = re.findall(r":root \{(.*?)\}", found("tocsin.css").body.decode(), re.DOTALL)
    for scheme in (light, dark):
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", scheme))
        for text in ("ink", "muted", "bronze"):
            for ground in ("paper", "card", "code"):
                assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        assert contrast(colours["green"], colours["green-paper"]) >= 4.5
        assert contrast(colours["focus"], colours["paper"]) >= 3


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
