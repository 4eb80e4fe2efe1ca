"""The page behind the link in a message: one tap acknowledges, without a sign-in.

The link alone changes nothing, because mail programs and chats open links by themselves to show a preview.
"""

from tocsin.access.call import Call
from tocsin.access.guard import Routes
from tocsin.delivery import actions, links
from tocsin.delivery.actions import Press, Pressed
from tocsin.incidents import store
from tocsin.kit.answers import Answer, Headers
from tocsin.web import render
from tocsin.web.entrance import PAGES

routes = Routes("console")

STATUS = {"expired": 410, "unknown": 404}
# A button in a message may be pressed from a chat's own page; there is no cookie here that it could misuse.
FROM_ANYWHERE: Headers = [(b"access-control-allow-origin", b"*")]


@routes.add("GET HEAD", "/a/{token}", may="public", shown=False, veiled=True, entrance=PAGES)
async def show(call: Call) -> Answer:
    """What would be acknowledged, and the button."""
    link = links.read(call.service.keyring, call.given("token"), call.db.clock())
    if link is None or link.expired:
        return _said(call, Pressed("unknown" if link is None else "expired", None))
    incident = await call.db.read(store.one, link.incident_id)
    if incident is None:
        return _said(call, Pressed("unknown", None))
    waiting = incident.active and incident.acknowledged_at is None
    return _said(call, Pressed("ask" if waiting else "already" if incident.active else "over", incident))


@routes.add("POST", "/a/{token}", may="public", bare=True, shown=False, veiled=True, entrance=PAGES)
async def press(call: Call) -> Answer:
    """Acknowledges. Pressing twice is pressing once."""
    link = links.read(call.service.keyring, call.given("token"), call.db.clock())
    if link is None or link.expired:
        return _said(call, Pressed("unknown" if link is None else "expired", None))
    wish = Press(link.incident_id, link.channel_id, call.request_id)
    pressed: Pressed = await call.db.write(actions.press, wish)
    return _said(call, pressed)


def _said(call: Call, pressed: Pressed) -> Answer:
    status = STATUS.get(pressed.outcome, 200)
    values = {"outcome": pressed.outcome, "incident": pressed.incident}
    return render.page(call, "tap.html", status, headers=FROM_ANYWHERE, **values)
