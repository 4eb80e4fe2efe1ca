"""Who of several addresses has a mail: a mail server takes it for some and refuses others. Pure.

A mail is one notification. Those who have it are not sent it again; who was refused for now is tried again, alone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Recipients:
    """How far a mail has come. `refused` (for good) and `left` (for now) hold what the server said."""

    taken: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)

    def whom(self, to: Sequence[str]) -> list[str]:
        """Whom to send it now, of all that it is for."""
        return [each for each in to if each not in self.taken and each not in self.refused]

    def after(self, asked: Sequence[str], said: Mapping[str, tuple[int, str]]) -> "Recipients":
        """After an attempt: 4xx of SMTP is for now, 5xx for good, and who is not named has it."""
        words = {each: " ".join(f"{code} {text}".split()) for each, (code, text) in said.items()}
        final = {each: words[each] for each, (code, _) in said.items() if code >= 500}
        later = {each: words[each] for each in said if each not in final}
        return Recipients(
            (*self.taken, *(each for each in asked if each not in said)), {**self.refused, **final}, later
        )

    def once_more(self) -> "Recipients":
        """Somebody asks for another attempt: those who were refused get one too."""
        return replace(self, refused={}, left={**self.left, **self.refused})

    @property
    def reason(self) -> str:
        """What the log says: who has it not, and why."""
        if not self.refused and not self.left:
            return "the mail server took it"
        count = len(self.taken) + len(self.refused) + len(self.left)
        missing = ", ".join(f"{each} ({why})" for each, why in {**self.refused, **self.left}.items())
        return f"the mail server took it for {len(self.taken)} of {count}, and not for {missing}"

    @property
    def written(self) -> str:
        """As it is kept."""
        return json.dumps({"taken": self.taken, "refused": self.refused, "left": self.left}, ensure_ascii=False)


def read(text: str | None) -> Recipients:
    """What is kept; nothing before the first attempt."""
    if text is None:
        return Recipients()
    kept = json.loads(text)
    return Recipients(tuple(kept["taken"]), kept["refused"], kept["left"])
