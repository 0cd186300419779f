"""A short joint training on every Keras backend that is installed, each in a process of its own."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "tiny_joint.py"


@pytest.mark.slow
@pytest.mark.parametrize(
    "backend",
    ["tensorflow", pytest.param("jax", marks=pytest.mark.backend), pytest.param("torch", marks=pytest.mark.backend)],
)
def test_a_joint_training_learns_and_resumes(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed (pip install 'aeret[{backend}]')")
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path)],
        env=environment,
        cwd=PROGRAM.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["backend"] == backend
    assert found["loss"][-1] < 0.95 * found["loss"][0]
    assert found["resumed_exactly"]
    assert found["finite"]
    assert found["predicted"] == {"embedding": [48, 8], "label_scores": [48, 3], "code": [48, 48]}
