"""Writes `.env.example`, and the parts of `docs/` that the code knows best: `python -m tests.house.write_docs`.

Such a part stands between `<!-- from the code: NAME -->` and `<!-- end -->`; a house test compares it. The words
around it are written by hand and stay.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.faults.figures import rows
from tests.house import write_settings
from tocsin.access.guard import Guarded
from tocsin.access.model import MAY, ROLES
from tocsin.app import ROUTES, create_app
from tocsin.incidents.model import SEVERITIES
from tocsin.intake.dialects import DIALECTS, alertmanager, generic, opsgenie, pagerduty
from tocsin.kit import metrics
from tocsin.kit.errors import every_problem
from tocsin.timeline.model import KINDS

DOCS = Path(__file__).resolve().parents[2] / "docs"
PART = re.compile(r"(<!-- from the code: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
REF = "#/components/schemas/"

# Every answer may be one of these; the operations list what comes on top.
EVERYWHERE = {"401", "403", "429", "503"}
EVERY_BODY = {"400", "408", "413", "415", "422"}


def settings() -> Iterator[str]:
    """Each setting with its default, by what it is about."""
    for title, names in write_settings.GROUPS.items():
        yield from ("", f"### {title}", "")
        yield from table("Setting", "Default", "What it does")
        for cells in write_settings.table_rows(names):
            yield row(*cells)


def errors() -> Iterator[str]:
    """Each kind of problem."""
    yield from table("`type`", "Status", "Title", "What it means and what to do")
    for problem in every_problem():
        yield row(f"`/errors/{problem.slug}`", str(problem.status), problem.title, problem.meaning)


def timeline() -> Iterator[str]:
    """Each kind of entry."""
    yield from table("`kind`", "What happened")
    for kind, about in KINDS.items():
        yield row(f"`{kind}`", about)


def figures() -> Iterator[str]:
    """Each metric with its help text."""
    yield from table("Metric", "Type", "Labels", "What it says")
    families = (
        *(metrics.REQUESTS, metrics.SECONDS, metrics.BATCHES, metrics.WISHES, metrics.READY),
        *(metrics.DELIVERIES, metrics.DELIVERY_SECONDS, metrics.NOTIFICATIONS_WAITING, metrics.LISTENERS),
        *(metrics.HEARTBEATS, metrics.ALIVE_AT),
    )
    for name, metric in zip(metrics.NAMES, families, strict=True):
        [family] = metric.describe()
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        yield row(f"`{name}`", family.type, labels, family.documentation)


def dialects() -> Iterator[str]:
    """Each dialect with its addresses."""
    yield from table("Dialect", "Speaks", "Listens at", "Largest body")
    for each in DIALECTS.values():
        paths = ", ".join(
            f"{path.methods.replace(' ', ', ')} `{path.path.replace(':path', '')}`" for path in each.paths
        )
        yield row(f"`{each.name}`", each.title, paths, f"{each.most // 1024:,} KiB")


def severities() -> Iterator[str]:
    """Each dialect's words for ours."""
    tables = {
        "`alertmanager`, `grafana` (label `severity`)": alertmanager.SEVERITIES,
        "`pagerduty`": pagerduty.SEVERITIES,
        "`opsgenie`": opsgenie.SEVERITIES,
        "`generic`": generic.SEVERITIES,
    }
    yield from table("Dialect", *(f"`{name}`" for name in reversed(SEVERITIES)))
    for name, words in tables.items():
        columns = (", ".join(word for word, ours in words.items() if ours == each) for each in reversed(SEVERITIES))
        yield row(name, *columns)


def permissions() -> Iterator[str]:
    """Which role has which permission."""
    yield from table("Permission", *ROLES)
    for permission, roles in MAY.items():
        yield row(f"`{permission}`", *("yes" if role in roles else "" for role in ROLES))


def operations() -> Iterator[str]:
    """Every operation of the API, under the heading of its feature."""
    document = create_app().openapi()
    tag = ""
    for route in ROUTES:
        if route.include_in_schema:
            (method,) = sorted(route.methods or ())
            told = document["paths"][route.path][method.lower()]
            if told["tags"][0] != tag:
                tag = told["tags"][0]
                yield from ("", f"## {tag.capitalize()}")
            yield from operation(method, route, told)


def operation(method: str, route: Guarded, told: Mapping[str, Any]) -> Iterator[str]:
    """One operation: what it is for, who may, what it takes and gives."""
    yield from ("", f"### `{method} {route.path}`", "", told["description"], "")
    yield f"- Permission: `{route.may}` ({', '.join(role for role in ROLES if role in route.roles)})."
    aliases = [f"`{other.path}`" for other in ROUTES if other.serve is route.serve and other.path != route.path]
    if aliases:
        yield f"- Also at: {', '.join(dict.fromkeys(aliases))}."
    if "requestBody" in told:
        optional = "" if told["requestBody"]["required"] else ", or nothing"
        yield f"- Body: {link(told['requestBody']['content']['application/json']['schema'])}{optional}."
    yield from answers(told["responses"])
    parameters = told.get("parameters", ())
    for parameter in parameters:
        if parameter["in"] != "header":
            yield f"- `{parameter['name']}` ({parameter['in']}): {parameter['description']}"
    headers = [f"`{parameter['name']}`" for parameter in parameters if parameter["in"] == "header"]
    if headers:
        yield f"- Takes {' and '.join(headers)}."


def answers(told: Mapping[str, Any]) -> Iterator[str]:
    """The good answer, and the problems that are this operation's own."""
    for status, answer in told.items():
        content = answer.get("content", {})
        if "application/json" in content:
            yield f"- Answer: {status} with {link(content['application/json']['schema'])}."
        if "text/event-stream" in content:
            yield f"- Answer: {status} and [server-sent events](live.md)."
    common = EVERYWHERE | (EVERY_BODY if "400" in told else set())
    own = [status for status in told if status.startswith("4") and status not in common]
    if own:
        yield f"- Problems of its own: {', '.join(own)}."


def shapes() -> Iterator[str]:
    """Every body and answer, field by field."""
    for name, schema in create_app().openapi()["components"]["schemas"].items():
        yield from ("", f"### {name}", "")
        if schema.get("description") and name != "Problem":
            yield from (schema["description"], "")
        required = schema.get("required", [])
        if schema["properties"]:
            yield from table("Field", "Type", "")
        for field, about in schema["properties"].items():
            note = (
                "" if field in required else f"default `{said(about['default'])}`" if "default" in about else "optional"
            )
            yield row(f"`{field}`", kind(about), " ".join(part for part in (about.get("description"), note) if part))


def kind(schema: Mapping[str, Any]) -> str:
    """A field's type in a few words."""
    if "$ref" in schema:
        return link(schema)
    if "anyOf" in schema:
        return " or ".join(kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {kind(schema['items'])}" if schema.get("items") else "list"
    name = str(schema.get("type", "anything"))
    if "maxLength" in schema:
        return f"{name}, at most {schema['maxLength']:,} characters"
    return name


def said(value: Any) -> str:
    return "null" if value is None else str(value)


def link(schema: Mapping[str, Any]) -> str:
    name = schema["$ref"].removeprefix(REF)
    return f"[{name}](#{name.lower()})"


def faults() -> Iterator[str]:
    """Each fault on each engine, as it was last tried."""
    yield from table("Fault", "Engine", "Last run", "Result")
    for each in rows():
        yield row(each.fault, each.engine, each.run, each.result)


def table(*titles: str) -> Iterator[str]:
    yield row(*titles)
    yield row(*("---" for _ in titles))


def row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    "settings": settings,
    "errors": errors,
    "timeline": timeline,
    "metrics": figures,
    "dialects": dialects,
    "severities": severities,
    "permissions": permissions,
    "operations": operations,
    "shapes": shapes,
    "faults": faults,
}


def written(text: str) -> str:
    """A page with its parts as the code has them now."""

    def fresh(found: re.Match[str]) -> str:
        lines: Sequence[str] = list(PARTS[found["name"]]())
        return f"{found[1]}{chr(10).join(lines).strip(chr(10))}\n{found[3]}"

    return PART.sub(fresh, text)


def main() -> None:
    for page in sorted(DOCS.rglob("*.md")):
        keep(page, written(page.read_text(encoding="utf-8")))
    keep(DOCS.parent / ".env.example", write_settings.env_example())


def keep(file: Path, text: str) -> None:
    if file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
        print(f"written: {file.relative_to(DOCS.parent)}")


if __name__ == "__main__":
    main()
