#!/usr/bin/python3
"""Measures what Furrow promises about speed, each figure beside its limit in the same run.

Prints a table and writes build/bench.json. Exit status: 0 when everything could be measured, also where a target is
missed (the table says so and why, as far as is known); 1 when a bench could not run; 2 for a wrong option.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict

from bench_farm import BenchError
from figures import FIGURES, ROOT, Bench


def number(value):
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1 else f"{value:.3f}"


def print_table(rows):
    heads = ("what", "value", "limit", "ratio", "target", "")
    cells = [
        (
            row.what,
            f"{number(row.value)} {row.unit}",
            f"{number(row.limit)} {row.unit}" if row.limit is not None else "",
            f"{row.ratio:.2f}" if row.ratio is not None else "",
            row.target,
            "met" if row.met else "MISSED",
        )
        for row in rows
    ]
    widths = [max(len(line[i]) for line in [heads, *cells]) for i in range(len(heads))]
    for line in [heads, *cells]:
        print("  ".join(text.ljust(width) if i == 0 else text.rjust(width)
                        for i, (text, width) in enumerate(zip(line, widths))).rstrip())  # fmt: skip
    for row in rows:
        if row.limit_is or (row.why and not row.met):
            print(f"\n{row.what}: {number(row.value)} {row.unit}"
                  + (f"; the limit is {row.limit_is}" if row.limit_is else "")
                  + (f"; {'MISSED: ' if not row.met else ''}{row.why}" if row.why else ""))  # fmt: skip


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    git = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(), "commit": git.stdout.strip(),
            "load_at_start": os.getloadavg(), "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=FIGURES, metavar="NAME",
                        help="one figure, may be repeated: " + ", ".join(FIGURES))  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, to see that everything runs")
    parser.add_argument("--build", action="store_true", help="also the clean build, without ccache")
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / "build/bin", help="where the programs are")
    parser.add_argument("--folder", type=pathlib.Path, help="for temporary files, on the disk to be measured")
    arguments = parser.parse_args()
    names = arguments.only or [name for name in FIGURES if name != "build"]
    if arguments.build and "build" not in names:
        names.append("build")

    programs = arguments.programs.resolve()
    about = machine()
    if about["load_at_start"][0] > about["cores"] / 2:
        print(f"bench: the machine is busy (load {about['load_at_start'][0]:.1f}): figures will be too bad", file=sys.stderr)
    rows, failures = [], {}
    where = arguments.folder or programs.parent
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=where)).resolve()
    try:
        for name in names:
            print(f"bench: {name}", file=sys.stderr, flush=True)
            own = folder / name
            own.mkdir()
            try:
                rows += FIGURES[name](Bench(programs, own, arguments.quick))
            except (BenchError, OSError, subprocess.SubprocessError) as error:
                failures[name] = str(error)
                print(f"bench: {name} could not run: {error}", file=sys.stderr, flush=True)
    finally:
        # At the end only: where ext4 has no journal it looks at every inode that was deleted lately before it gives
        # out a new one, which costs whoever makes files half a millisecond each.
        shutil.rmtree(folder, ignore_errors=True)

    print_table(rows)
    missed = [row.what for row in rows if not row.met]
    print(f"\n{len(rows) - len(missed)} met, {len(missed)} missed, {len(failures)} could not run"
          + (" (quick: figures are rough)" if arguments.quick else ""))  # fmt: skip
    report = {"machine": about, "quick": arguments.quick, "figures": [asdict(row) for row in rows], "failed": failures}
    path = programs.parent / "bench.json"
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    print(f"written to {path}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
