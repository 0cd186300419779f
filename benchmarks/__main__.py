"""Run every benchmark, or those named on the command line, and print their tables."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from benchmarks.measure import HERE, report


def main() -> int:
    found = {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}
    names = sys.argv[1:] or list(found)
    unknown = [name for name in names if name not in found]
    if unknown:
        print(f"There is no benchmark {unknown[0]!r}. Known: {', '.join(found)}.", file=sys.stderr)
        return 2
    for name in names:
        module = importlib.import_module(f"benchmarks.bench_{name}")
        report(str(Path(found[name])), module.main())
    return 0


if __name__ == "__main__":
    sys.exit(main())
