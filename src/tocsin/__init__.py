"""Tocsin, an incident register. The package in the order in which it reads best:

1. `incidents/model.py`: what an incident is and which moves it takes; pure rules, a table.
2. `incidents/actions.py`, `store.py`, `http.py`: the grammar that every feature follows.
3. `db/transaction.py`, `db/batcher.py`: what an action is handed, and how many wishes become one commit.
4. `timeline/log.py`: the one log, written as the last statement of every transaction.
5. `access/guard.py`: the one way in; no route without a permission.
6. `app.py`: the table of contents. Every route, loop and layer, a line each.
7. `start.py`, `cli/serve.py`: what happens before the first request.

Imports go one way, down this list: `cli, app, start, web, incidents, timeline, access, db, kit, settings`.
"""

# Written down, because asking importlib.metadata costs every start 20 ms; a house test compares it with pyproject.toml.
__version__ = "0.1.0"
