"""`python -m bench.publish`: puts the newest whole results into docs/performance.md.

They stand between `<!-- from the benchmark: SECTION -->` and `<!-- end -->`; a house test compares. The words around
them are written by hand and stay.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from bench.report import RESULTS

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
PART = re.compile(r"(<!-- from the benchmark: (?P<title>[^>]+) -->\n).*?(<!-- end -->)", re.DOTALL)
WHOLE = re.compile(r"\d{4}-\d{2}-\d{2}\.md")
NOTHING = "No whole run is kept yet: `./run bench` makes one.\n"


def main() -> int:
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), newest(RESULTS)), encoding="utf-8")
    return 0


def newest(folder: Path) -> Path | None:
    """The last whole run; the oldest ones had other tables."""
    for path in sorted(folder.glob("*.md"), reverse=True):
        if WHOLE.fullmatch(path.name) and "\n## To reach\n" in path.read_text(encoding="utf-8"):
            return path
    return None


def written(page: str, results: Path | None) -> str:
    """The page with each part as the results say it."""
    parts = sections(results.read_text(encoding="utf-8")) if results else {}
    source = f"\nFrom [{results.name}](../bench/results/{results.name}).\n" if results else ""

    def part(found: re.Match[str]) -> str:
        text = parts.get(found["title"], "Not measured in this run.\n" if results else NOTHING)
        return f"{found[1]}{text}{source if found['title'] in parts else ''}{found[3]}"

    return PART.sub(part, page)


def sections(results: str) -> dict[str, str]:
    """Each section's text by its title."""
    found = re.split(r"^## (.+)\n\n", results, flags=re.MULTILINE)
    return {title: f"{text.rstrip()}\n" for title, text in zip(found[1::2], found[2::2], strict=True)}


if __name__ == "__main__":
    sys.exit(main())
