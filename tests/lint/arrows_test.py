#!/usr/bin/python3
"""Proves that arrows.py finds each kind of fault, names its place, and leaves a lawful tree alone."""

import pathlib
import subprocess
import sys
import tempfile

ARROWS = pathlib.Path(__file__).resolve().parent / "arrows.py"
TABLE = "controller/loop -> controller/state common/base\ncontroller/state -> common/base\ncommon/base\n"
TREE = {
    "tests/lint/arrows.txt": TABLE,
    "controller/loop.h": "#pragma once\n",
    "controller/loop.cpp": '#include "controller/loop.h"\n#include "controller/state/state.h"\n#include "common/base/error.h"\n',
    "controller/state/state.h": '#include "common/base/error.h"\n#include <vector>\n',
    "controller/README.md": "`loop.*` and `state/`\n",
    "common/base/error.h": "#include <string>\n",
    "common/README.md": "`base/`\n",
}

# What is changed in the lawful tree, and what is said then.
FAULTS = [
    (
        {"common/base/error.h": '#include "controller/state/state.h"\n'},
        "common/base/error.h:1: controller/state/state.h: no arrow common/base -> controller/state is drawn",
    ),
    (
        {"controller/state/state.h": '#include "common/base/error.h"\n\n#  include "controller/loop.h"\n'},
        "controller/state/state.h:3: controller/loop.h: no arrow controller/state -> controller/loop is drawn",
    ),
    (
        {"common/base/error.h": '#include "tests/support/farm.h"\n'},
        "common/base/error.h:1: tests/support/farm.h: the programs include nothing of the tests",
    ),
    (
        {"tests/lint/arrows.txt": TABLE.replace("\ncommon/base\n", "\ncommon/base -> common/none\n")},
        "arrows.txt:3: common/base -> common/none: there is no such room",
    ),
    (
        {"tests/lint/arrows.txt": TABLE.replace("\ncommon/base\n", "\ncommon/base -> controller/loop\n")},
        "arrows.txt:3: common/base -> controller/loop: an arrow runs down the table",
    ),
    (
        {"controller/loop.cpp": '#include "controller/state/state.h"\n'},
        "arrow controller/loop -> common/base: nothing includes along it any more",
    ),
    ({"tests/lint/arrows.txt": TABLE + "common/base\n"}, "common/base stands here twice"),
    ({"common/other/other.h": ""}, "common/other/other.h: lies in no room of the table"),
    ({"common/README.md": "nothing\n"}, "common/README.md: says nothing of base"),
]


def run(changes):
    with tempfile.TemporaryDirectory() as folder:
        for path, text in {**TREE, **changes}.items():
            file = pathlib.Path(folder) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        done = subprocess.run([ARROWS, folder], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


def main():
    failed = 0
    status, words = run({})
    if status != 0:
        failed = 1
        print(f"wrongly reported: {words}")
    for changes, expected in FAULTS:
        status, words = run(changes)
        if status != 1 or expected not in words:
            failed = 1
            print(f"not reported: {expected}\n  exit status {status}, it said: {words}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
