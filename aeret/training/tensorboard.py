"""Write scalars for TensorBoard on any Keras backend (Keras' callback needs TensorFlow)."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter


class ScalarLog:
    """Writes one event file a process; the events of epochs that a killed run had begun are purged on resume.

    Args:
        folder: the log folder; created when missing.
        done: epochs already in the folder; TensorBoard forgets what it holds of later ones.
    """

    def __init__(self, folder: Path, done: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        path = folder / f"events.out.tfevents.{now:.6f}.{os.getpid()}"
        self._file = path.open("wb")
        self._records = RecordWriter(self._file)
        self._write(event_pb2.Event(wall_time=now, file_version="brain.Event:2"))
        if done:
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._write(event_pb2.Event(wall_time=now, step=done + 1, session_log=start))

    def write(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write the values of one epoch (1-based) and flush."""
        scalars = [summary_pb2.Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        summary = summary_pb2.Summary(value=scalars)
        self._write(event_pb2.Event(wall_time=time.time(), step=epoch, summary=summary))
        self._records.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, event: event_pb2.Event) -> None:
        self._records.write(event.SerializeToString())
