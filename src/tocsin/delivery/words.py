"""What a message says to people, in English or Russian: the same on every channel. Pure.

It is read at night on a locked screen, which shows a line or two: how bad it is and what it is come first.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from tocsin.delivery.model import MOST_LINES, Message
from tocsin.incidents.model import RANK, Incident, cut, summary_of

LANGUAGES = ("en", "ru")
LONGEST_WORDS = 500  # of a description in a message
MOMENT = timedelta(minutes=1)  # what is younger happened just now

ONE: Mapping[str, Mapping[str, str]] = {
    "en": {
        "opened": "{severity}: {summary}",
        "raised": "{severity}{was}: {summary}",
        "resolved": "Resolved after {lasted}: {summary}",
        "reopened": "{severity}, open again: {summary}",
        "test": "A test message from Tocsin",
    },
    "ru": {
        "opened": "{severity}: {summary}",
        "raised": "{severity}{was}: {summary}",
        "resolved": "Решён за {lasted}: {summary}",
        "reopened": "{severity}, снова открыт: {summary}",
        "test": "Проверочное сообщение от Tocsin",
    },
}
MANY: Mapping[str, Mapping[str, str]] = {
    "en": {
        "opened": "{count} new incidents{worst}",
        "raised": "{count} incidents are worse{worst}",
        "resolved": "{count} incidents resolved",
        "reopened": "{count} incidents open again{worst}",
    },
    "ru": {
        "opened": "Новых инцидентов: {count}{worst}",
        "raised": "Стало хуже инцидентов: {count}{worst}",
        "resolved": "Решено инцидентов: {count}",
        "reopened": "Снова открыто инцидентов: {count}{worst}",
    },
}
WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "was": " (was {severity})",
        "worst": ", worst: {severity}",
        "since": "Since {since} UTC, {ago} ago",
        "just now": "Since {since} UTC, just now",
        "from to": "From {since} to {until} UTC",
        "reports": "Reports: {reports}",
        "over": "Already over.",
        "taken": "Already acknowledged.",
        "again": "Open again by now.",
        "short over": "over",
        "short taken": "acknowledged",
        "short again": "open again",
        "more": "… and {count} more",
        "works": "This channel works. Nothing is wrong.",
        "acknowledge": "Acknowledge",
        "open": "Open",
    },
    "ru": {
        "was": " (раньше {severity})",
        "worst": ", худшая серьёзность: {severity}",
        "since": "С {since} UTC, {ago} назад",
        "just now": "С {since} UTC, только что",
        "from to": "С {since} до {until} UTC",
        "reports": "Обращений: {reports}",
        "over": "Уже закончился.",
        "taken": "Уже принят.",
        "again": "Уже снова открыт.",
        "short over": "закончился",
        "short taken": "принят",
        "short again": "снова открыт",
        "more": "… и ещё {count}",
        "works": "Канал работает. Ничего не случилось.",
        "acknowledge": "Принять",
        "open": "Открыть",
    },
}
# As the console says them.
SEVERITY_RU = {"critical": "критично", "high": "высокая", "medium": "средняя", "low": "низкая", "info": "сведения"}
SOURCE_RU = {"operator": "оператор", "monitoring": "мониторинг", "partner": "партнёр"}
UNITS = {"en": ("s", "min", "h", "d"), "ru": ("с", "мин", "ч", "дн")}


def headline(message: Message, language: str) -> str:
    """One line that says it all: the subject of a mail, the title of a notification."""
    one = message.incident
    if one is not None:
        said = {
            "severity": severity(one.severity, language).upper(),
            "was": _was(message, one, language),
            "lasted": duration(_ended(message, one) - one.created_at, language),
        }
        return ONE[language][message.event].format(summary=summary_of(one), **said)
    if message.event == "test":
        return ONE[language]["test"]
    return MANY[language][message.event].format(count=message.count, worst=_worst(message.incidents, language))


def lines(message: Message, language: str) -> list[str]:
    """What stands below the headline."""
    words = WORDS[language]
    if message.event == "test":
        return [words["works"]]
    if message.incident is not None:
        return _about(message, message.incident, language)
    listed = [_short(message, each, language) for each in message.incidents[:MOST_LINES]]
    left = message.count - len(listed)
    return listed + ([words["more"].format(count=left)] if left > 0 else [])


def word(name: str, language: str) -> str:
    """A single word, such as a button's."""
    return WORDS[language][name]


def severity(name: str, language: str) -> str:
    """How bad it is, in this language."""
    return SEVERITY_RU[name] if language == "ru" else name


def duration(span: timedelta, language: str) -> str:
    """`42 min`, `3 h 10 min`, `2 d 4 h`."""
    seconds = max(0, int(span.total_seconds()))
    second, minute, hour, day = UNITS[language]
    if seconds < 60:
        return f"{seconds} {second}"
    if seconds < 3600:
        return f"{seconds // 60} {minute}"
    if seconds < 86400:
        return f"{seconds // 3600} {hour} {seconds % 3600 // 60} {minute}"
    return f"{seconds // 86400} {day} {seconds % 86400 // 3600} {hour}"


def _about(message: Message, incident: Incident, language: str) -> list[str]:
    words, resolved = WORDS[language], message.event == "resolved"
    state = _state(message, incident)
    said = [words[state]] if state else []
    source = SOURCE_RU[incident.source] if language == "ru" else incident.source
    facts = [f"#{incident.id}", incident.asset, source, severity(incident.severity, language) if resolved else None]
    said.append(" · ".join(each for each in facts if each))
    said.append(_when(message, incident, language))
    if incident.reports_count > 1:
        said.append(words["reports"].format(reports=incident.reports_count))
    if not resolved and (details := _details(incident)):
        said.append(cut(details, LONGEST_WORDS))
    return said


def _short(message: Message, incident: Incident, language: str) -> str:
    """An incident among others: one line."""
    resolved, state = message.event == "resolved", _state(message, incident)
    after = [f"#{incident.id}"]
    if resolved:
        after.append(duration(_ended(message, incident) - incident.created_at, language))
    if state:
        after.append(WORDS[language][f"short {state}"])
    before = "" if resolved else severity(incident.severity, language).upper() + ": "
    return f"• {before}{summary_of(incident)} ({', '.join(after)})"


def _state(message: Message, incident: Incident) -> str | None:
    """What has become of it since, if anything: what waited is told as things are now."""
    if message.event == "resolved":
        return "again" if incident.active else None
    if not incident.active:
        return "over"
    return "taken" if incident.acknowledged_at is not None else None


def _details(incident: Incident) -> str:
    """The description, without a first line that the headline has said."""
    text = incident.description.strip()
    first, _, rest = text.partition("\n")
    return rest.strip() if first.strip() == summary_of(incident) else text


def _when(message: Message, incident: Incident, language: str) -> str:
    words, since = WORDS[language], _clock(incident.created_at, message.at)
    if message.event == "resolved":
        return words["from to"].format(since=since, until=_clock(_ended(message, incident), message.at))
    old = message.at - incident.created_at
    return words["since" if old >= MOMENT else "just now"].format(since=since, ago=duration(old, language))


def _clock(at: datetime, now: datetime) -> str:
    """The time of day, with the date where it was another day."""
    return f"{at:%H:%M}" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M}"


def _ended(message: Message, incident: Incident) -> datetime:
    return incident.resolved_at or message.happened_at


def _was(message: Message, incident: Incident, language: str) -> str:
    """From what it has risen."""
    if message.was is None or message.was == incident.severity:
        return ""
    return WORDS[language]["was"].format(severity=severity(message.was, language))


def _worst(incidents: Sequence[Incident], language: str) -> str:
    """How bad the worst of those is that are not over."""
    left = [each.severity for each in incidents if each.active]
    if not left:
        return ""
    return WORDS[language]["worst"].format(severity=severity(max(left, key=RANK.__getitem__), language).upper())
