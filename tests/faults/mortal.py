"""`python mortal.py COUNT COMMAND…`: a command of Tocsin's that is killed before its COUNTth step in the database.

A step is a statement, a COMMIT, or the moment after a COMMIT. Says how many steps there were when it lives to the end.
"""

import os
import signal
import sys
from typing import Any

from sqlalchemy import Engine, event

from tocsin.cli import main

_left = int(sys.argv.pop(1))
_steps = 0


def _step(*_: Any) -> None:
    global _steps
    _steps += 1
    if _steps == _left:
        os.kill(os.getpid(), signal.SIGKILL)


for name in ("before_cursor_execute", "commit"):
    event.listen(Engine, name, _step)

try:
    main()
finally:
    _step()
    print(_steps, file=sys.stderr)
