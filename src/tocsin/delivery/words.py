"""What a message says to people, in English or Russian: short, plain, the same on every channel. Pure."""

from collections.abc import Mapping
from datetime import timedelta

from tocsin.delivery.model import MOST_LINES, Message
from tocsin.incidents.model import Incident, cut, summary_of

LANGUAGES = ("en", "ru")
LONGEST_WORDS = 500  # of a description in a message

ONE: Mapping[str, Mapping[str, str]] = {
    "en": {
        "opened": "New: {summary}",
        "raised": "Worse: {summary}",
        "resolved": "Resolved: {summary}",
        "reopened": "Again: {summary}",
        "test": "A test message from Tocsin",
    },
    "ru": {
        "opened": "Новый: {summary}",
        "raised": "Хуже: {summary}",
        "resolved": "Решён: {summary}",
        "reopened": "Снова: {summary}",
        "test": "Проверочное сообщение от Tocsin",
    },
}
MANY: Mapping[str, Mapping[str, str]] = {
    "en": {
        "opened": "{count} new incidents",
        "raised": "{count} incidents are worse",
        "resolved": "{count} incidents resolved",
        "reopened": "{count} incidents reopened",
    },
    "ru": {
        "opened": "Новых инцидентов: {count}",
        "raised": "Стало хуже инцидентов: {count}",
        "resolved": "Решено инцидентов: {count}",
        "reopened": "Открыто снова инцидентов: {count}",
    },
}
WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "severity": "Severity: {severity}",
        "asset": "What: {asset}",
        "since": "Since: {since} UTC",
        "reports": "Reports: {reports}",
        "source": "Source: {source}",
        "lasted": "It lasted {duration}.",
        "over": "It is over already.",
        "taken": "Somebody has acknowledged it already.",
        "more": "… and {count} more",
        "works": "This channel works. Nothing is wrong.",
        "acknowledge": "Acknowledge",
        "open": "Open",
    },
    "ru": {
        "severity": "Серьёзность: {severity}",
        "asset": "Что: {asset}",
        "since": "С {since} UTC",
        "reports": "Сообщений: {reports}",
        "source": "Источник: {source}",
        "lasted": "Длился {duration}.",
        "over": "Уже закончился.",
        "taken": "Кто-то уже взял его в работу.",
        "more": "… и ещё {count}",
        "works": "Канал работает. Ничего не случилось.",
        "acknowledge": "Принять",
        "open": "Открыть",
    },
}
SEVERITY_RU = {"critical": "критическая", "high": "высокая", "medium": "средняя", "low": "низкая", "info": "сведения"}
SOURCE_RU = {"operator": "оператор", "monitoring": "мониторинг", "partner": "партнёр"}
UNITS = {"en": ("s", "min", "h", "d"), "ru": ("с", "мин", "ч", "дн")}


def headline(message: Message, language: str) -> str:
    """One line that says it all: the subject of a mail, the title of a notification."""
    if message.incident is not None:
        return ONE[language][message.event].format(summary=summary_of(message.incident))
    if message.event == "test":
        return ONE[language]["test"]
    return MANY[language][message.event].format(count=message.count)


def lines(message: Message, language: str) -> list[str]:
    """What stands below the headline."""
    words = WORDS[language]
    if message.event == "test":
        return [words["works"]]
    if message.incident is not None:
        return _about(message, message.incident, language)
    listed = [_short(each, language) for each in message.incidents[:MOST_LINES]]
    left = message.count - len(listed)
    return listed + ([words["more"].format(count=left)] if left > 0 else [])


def word(name: str, language: str) -> str:
    """A single word, such as a button's."""
    return WORDS[language][name]


def _about(message: Message, incident: Incident, language: str) -> list[str]:
    words = WORDS[language]
    said = []
    if incident.description.strip() not in ("", summary_of(incident)):
        said.append(cut(incident.description.strip(), LONGEST_WORDS))
    if message.event == "resolved":
        ended = incident.resolved_at or message.happened_at
        said.append(words["lasted"].format(duration=duration(ended - incident.created_at, language)))
    elif not incident.active:
        said.append(words["over"])
    elif incident.acknowledged_at is not None:
        said.append(words["taken"])
    said.append(words["severity"].format(severity=severity(incident, language)))
    if incident.asset is not None:
        said.append(words["asset"].format(asset=incident.asset))
    said.append(words["since"].format(since=f"{incident.created_at:%Y-%m-%d %H:%M}"))
    if incident.reports_count > 1:
        said.append(words["reports"].format(reports=incident.reports_count))
    source = SOURCE_RU[incident.source] if language == "ru" else incident.source
    return [*said, words["source"].format(source=source)]


def severity(incident: Incident, language: str) -> str:
    """How bad it is, in this language."""
    return SEVERITY_RU[incident.severity] if language == "ru" else incident.severity


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


def _short(incident: Incident, language: str) -> str:
    return f"• {summary_of(incident)} ({severity(incident, language)})"
