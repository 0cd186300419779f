"""Find the Keras backend before Keras is imported, for artifact keys."""

from __future__ import annotations

import json
import os
from pathlib import Path

VARIABLE = "KERAS_BACKEND"


def keras_backend() -> str:
    """Return the backend of the environment, else that of Keras' own ``keras.json``, else ``tensorflow``."""
    if chosen := os.environ.get(VARIABLE):
        return chosen
    home = os.environ.get("KERAS_HOME")
    if home is None:
        # Keras looks below /tmp where the home folder cannot be written.
        user = Path("~").expanduser()
        home = str((user if os.access(user, os.W_OK) else Path("/tmp")) / ".keras")
    try:
        config = json.loads((Path(home).expanduser() / "keras.json").read_text(encoding="utf-8"))
        return str(config.get("backend", "tensorflow"))
    except (OSError, ValueError, AttributeError):
        return "tensorflow"


def settle_backend() -> None:
    """Fix the Keras backend in the environment for this process and its children."""
    os.environ[VARIABLE] = keras_backend()
