"""What every benchmark shares: the interface, the clock, the memory gauge and the table.

**Interface.** A benchmark is a file ``bench_<name>.py`` in this folder with

* a docstring whose first line is the title of its table, and whose rest says what is measured against what, and how;
* ``main() -> list[Row]``, callable without arguments, which measures and returns rows; all have the same keys, and
  the first is ``what``. A ratio says how many times better aeret is, so that above 1 is good. Where what it needs
  is absent (real data, a peer), it returns ``[skipped(what, why)]``;
* ``if __name__ == "__main__": report(__file__, main())``, so that it also runs alone.

``python -m benchmarks [name ...]`` runs them all, or those named, and writes ``results/<name>.md``.

**Clock.** Two programs are timed in turns (A B B A ...), so that a machine that gets slower does so to both; what
counts is the median of the ratios of neighbours. **Memory** is the peak of a fresh process, interpreter and imports
included.
"""

from __future__ import annotations

import ast
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

Row = dict[str, object]

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"


@dataclass(frozen=True)
class Comparison:
    """Seconds of ours and of the peer (medians), and how many times faster ours is."""

    ours: float
    peer: float
    ratio: float
    low: float
    """smallest ratio of a round"""
    high: float


def compare(ours: Callable[[], object], peer: Callable[[], object], rounds: int = 7) -> Comparison:
    """Time two callables in turns, after one unmeasured call of each."""
    ours()
    peer()
    times: dict[Callable[[], object], list[float]] = {ours: [], peer: []}
    for turn in range(rounds):
        for each in (ours, peer) if turn % 2 else (peer, ours):
            gc.collect()
            start = time.perf_counter()
            result = each()
            times[each].append(time.perf_counter() - start)
            del result
    ratios = [b / a for a, b in zip(times[ours], times[peer], strict=True)]
    return Comparison(
        statistics.median(times[ours]),
        statistics.median(times[peer]),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
    )


_GAUGE = """
import json, sys
def peak():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
arguments = json.loads(sys.argv[1])
{imports}
before = peak()
{code}
print(json.dumps([before, peak()]), file=sys.stderr)
"""


def peak_memory(imports: str, code: str, arguments: Sequence[str]) -> tuple[float, float]:
    """Run code in a fresh process.

    Args:
        imports: Python source that only imports.
        code: Python source of what is measured; ``arguments`` is there as a list of texts.
        arguments: passed on.

    Returns:
        MiB of peak resident memory after the imports, and at the end (Linux).
    """
    # VmHWM is that of the new program; ru_maxrss would start at what this process has.
    command = [sys.executable, "-c", _GAUGE.format(imports=imports, code=code), json.dumps(list(arguments))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE.parent)
    if done.returncode:
        raise RuntimeError(f"the measured program failed:\n{done.stderr}")
    before, after = json.loads(done.stderr.strip().splitlines()[-1])
    return before, after


def peak_of_processes(command: Sequence[str]) -> tuple[float, float]:
    """Run a program that starts others.

    Returns:
        MiB at the peak, and seconds. The peak is the larger of that of the program's resident memory and that of the
        sum of the proportional set sizes of it and its children, ten times a second (Linux).
    """
    start, together, alone = time.perf_counter(), 0, 0
    with subprocess.Popen(command, cwd=HERE.parent) as process:
        while process.poll() is None:
            together = max(together, sum(_kib(each, "smaps_rollup", "Pss:") for each in _family(process.pid)))
            alone = max(alone, _kib(process.pid, "status", "VmHWM:"))
            time.sleep(0.1)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed with exit code {process.returncode}")
    return max(together, alone) / 1024, time.perf_counter() - start


def _family(process: int) -> list[int]:
    found = [process]
    for each in found:
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                found += [int(child) for child in children.read_text().split()]
            except OSError:
                continue
    return found


def _kib(process: int, file: str, key: str) -> int:
    try:
        for line in Path(f"/proc/{process}/{file}").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1])
    except OSError:  # it ended just now
        pass
    return 0


def real_data() -> Path | None:
    """Return the folder of real COCO sets (AERET_DATA, or ``shared/data`` beside the repository), if it is there."""
    folder = Path(os.environ.get("AERET_DATA", HERE.parent.parent / "shared" / "data"))
    return folder if (folder / "coco_mix").is_dir() else None


def skipped(what: str, why: str) -> Row:
    """Return the row of a benchmark that could not be run."""
    return {"what": what, "skipped": why}


def report(file: str, rows: list[Row]) -> str:
    """Print the table of a benchmark and write it to ``results/<name>.md``; return the table."""
    path = Path(file)
    name = path.stem.removeprefix("bench_")
    described = (ast.get_docstring(ast.parse(path.read_text())) or name).strip()
    title, _, rest = described.partition("\n")
    table = markdown(rows)
    print(f"\n{title}\n\n{table}", flush=True)
    if not any("skipped" in row for row in rows):
        RESULTS.mkdir(exist_ok=True)
        made = f"{date.today()}, {machine()}. `python -m benchmarks {name}`"
        text = f"# {title.rstrip('.')}\n\n{table}\n\n{made}\n\n{rest.strip()}\n"
        (RESULTS / f"{name}.md").write_text(text)
    return table


def markdown(rows: list[Row]) -> str:
    """Return rows as a Markdown table; numbers are given to three digits."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    lines = [keys, ["---"] + ["---:"] * (len(keys) - 1), *([_text(row.get(key, "")) for key in keys] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """Return what this ran on, in one line."""
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores of {processor}, {platform.system()}, Python {platform.python_version()}"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)
