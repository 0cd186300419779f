"""Import TensorFlow without its page of greetings, where it is the backend.

Two of the lines it writes to standard error come from C++ before any log level is read; they bury the progress bar of
every stage. Rooms that import Keras import this module first. Exceptions of the import still come through.
"""

from __future__ import annotations

import importlib
import os
import sys

if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow" and "tensorflow" not in sys.modules:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    _kept = os.dup(2)
    _nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(_nowhere, 2)
        importlib.import_module("tensorflow")
    except ImportError:
        # Keras says better what is missing.
        sys.modules.pop("tensorflow", None)
    finally:
        os.dup2(_kept, 2)
        os.close(_kept)
        os.close(_nowhere)
