"""`python -m bench.publish`: puts the newest whole results into docs/performance.md.

What a whole run leaves out, the registers of millions, comes from the newest run of just those.

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
LARGE = re.compile(r"\d{4}-\d{2}-\d{2}-large\.md")
NOTHING = "No whole run is kept yet: `./run bench` makes one.\n"


def main() -> int:
    text = written(PAGE.read_text(encoding="utf-8"), newest(RESULTS), newest(RESULTS, LARGE))
    PAGE.write_text(text, encoding="utf-8")
    return 0


def newest(folder: Path, kind: re.Pattern[str] = WHOLE) -> Path | None:
    """The last run of this kind; the oldest ones had other tables."""
    for path in sorted(folder.glob("*.md"), reverse=True):
        if kind.fullmatch(path.name) and "\n## To reach\n" in path.read_text(encoding="utf-8"):
            return path
    return None


def written(page: str, results: Path | None, large: Path | None = None) -> str:
    """The page with each part as the results say it; what they do not have is looked for in those of `large`."""
    parts = _sourced(large) | _sourced(results)

    def part(found: re.Match[str]) -> str:
        text = parts.get(found["title"], "Not measured in this run.\n" if results else NOTHING)
        return f"{found[1]}{text}{found[3]}"

    return PART.sub(part, page)


def _sourced(results: Path | None) -> dict[str, str]:
    """Each section of a run, with a line that says where it is from."""
    if results is None:
        return {}
    source = f"\nFrom [{results.name}](../bench/results/{results.name}).\n"
    return {title: text + source for title, text in sections(results.read_text(encoding="utf-8")).items()}


def sections(results: str) -> dict[str, str]:
    """Each section's text by its title."""
    found = re.split(r"^## (.+)\n\n", results, flags=re.MULTILINE)
    return {title: f"{text.rstrip()}\n" for title, text in zip(found[1::2], found[2::2], strict=True)}


if __name__ == "__main__":
    sys.exit(main())
