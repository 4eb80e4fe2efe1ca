"""Signing in with a key, and out."""

from tocsin.access import actions
from tocsin.access.call import Call
from tocsin.access.guard import Routes
from tocsin.access.knocking import looked_up
from tocsin.access.model import Principal, new_session_secret
from tocsin.kit import openapi
from tocsin.kit.answers import Answer
from tocsin.web import entrance, render
from tocsin.web.entrance import PAGES, Form

routes = Routes("console")

TO = openapi.Parameter("to", "query", "Where to go on after the sign-in.", openapi.TEXT)


@routes.add("GET", "/sign-in", may="public", shown=False, entrance=PAGES, parameters=(TO,))
async def show_sign_in(call: Call) -> Answer:
    """The form that takes a key."""
    to = _ours(call.asked().get("to", ["/"])[-1])
    if await entrance.signed_in(call) is not None:
        return entrance.seen_other(to)
    return render.page(call, "sign_in.html", to=to, trouble=None)


@routes.add("POST", "/sign-in", may="public", shown=False, entrance=PAGES)
async def sign_in(call: Call) -> Answer:
    """A session for whoever brings a good key of the team."""
    form: Form = call.content
    to = _ours(form.text("to"))
    who = await _owner(call, form.text("key"))
    if who is None:
        return render.page(call, "sign_in.html", 403, to=to, trouble="wrong")
    if not who.sees_all:
        return render.page(call, "sign_in.html", 403, to=to, trouble="role")
    secret = new_session_secret(who.key_id)
    hash = call.service.directory.session_hash(secret)
    wish = actions.SignIn(who.key_id, hash, who.opened_with, call.request_id)
    await call.db.write(actions.sign_in, wish)
    return entrance.seen_other(to, [entrance.cookie(call, secret)])


@routes.add("POST", "/sign-out", may="incidents:read", shown=False, entrance=PAGES)
async def sign_out(call: Call) -> Answer:
    """The session ends, here and on disk."""
    secret = entrance.session_secret(call) or ""
    wish = actions.SignOut(call.principal.key_id, call.service.directory.session_hash(secret), call.request_id)
    await call.db.write(actions.sign_out, wish)
    return entrance.seen_other("/", [entrance.cookie(call, "")])


async def _owner(call: Call, key: str) -> Principal | None:
    """Whose key this is; a wrong one counts against the address, as it does at the API."""
    directory = call.service.directory
    return directory.find(key) or await looked_up(call, directory.find_fresh, key)


def _ours(to: str) -> str:
    """A path of this server: whatever else a link says, nobody is led away from here."""
    safe = to.startswith("/") and not to.startswith(("//", "/\\")) and to.isascii() and to.isprintable()
    return to if safe else "/"
