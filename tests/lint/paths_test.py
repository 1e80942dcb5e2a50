#!/usr/bin/python3
"""Proves that paths.py finds each kind of name that leads nowhere, says where it stands, and leaves a right tree alone."""

import pathlib
import subprocess
import sys
import tempfile

PATHS = pathlib.Path(__file__).resolve().parent / "paths.py"
PAGE = """# Rooms

`loop.*`, `state/`, `store/{reader,writer}.cpp`, `store/*.cpp`, `store/writer` and `../common/log.h`; [log](../common/log.h).
See [below](#what-a-kill--9-does), and from the root `common/log.h`. Not looked for: `/etc/x/y.md`, `~/x/y.md`, `c=d/e`,
`logs/RUN/x`, `x.cpp`, `build/bin`, `.cpp`, `db/`, `fashion#42/test`.

```
none/in/a/fence.cpp, `none/here.cpp`
```

## What a `kill -9` does
"""
TREE = {
    "controller/README.md": PAGE,
    "controller/loop.h": "// What state/state.h says; the log is common/log.h, its own words in log.h. X_codec.h is made.\n",
    "controller/state/state.h": '#include "controller/none.h"\n',
    "controller/store/reader.cpp": "// writer.cpp writes\n",
    "controller/store/writer.cpp": "",
    "common/log.h": "",
    "build/made.md": "`none/at/all.cpp`\n",
}

# What is changed in the right tree, and what is said then.
FAULTS = [
    ({"controller/README.md": PAGE + "\n`store/none.cpp`\n"}, "controller/README.md:13: `store/none.cpp`: there is no such"),
    ({"controller/README.md": PAGE + "\n`writer.cpp`\n"}, "controller/README.md:13: `writer.cpp`: there is no such file"),
    ({"controller/README.md": PAGE + "\n`store/{reader,none}.cpp`\n"}, "controller/README.md:13: `store/{reader,none}.cpp`"),
    ({"controller/README.md": PAGE + "\n`store/none*`\n"}, "controller/README.md:13: `store/none*`"),
    ({"controller/README.md": PAGE + "\n`stores/`\n"}, "controller/README.md:13: `stores/`"),
    ({"controller/README.md": PAGE + "\n`./run store/none.cpp\n--all`\n"}, "controller/README.md:13: `store/none.cpp`"),
    ({"controller/README.md": PAGE + "\n[x](../none.md)\n"}, "controller/README.md:13: (../none.md): there is no such file"),
    ({"controller/README.md": PAGE + "\n[x](#none)\n"}, "controller/README.md:13: (#none): there is no such heading"),
    ({"common/README.md": "[x](../controller/README.md#none)\n"}, "common/README.md:1: (../controller/README.md#none)"),
    ({"common/log.h": "\n// Used by logging*.cpp.\n"}, "common/log.h:2: logging*.cpp: there is no such file"),
    ({"common/log.h": "// As common/none.md says.\n"}, "common/log.h:1: common/none.md: there is no such file"),
    ({"common/CMakeLists.txt": "# As common/none.h says.\n"}, "common/CMakeLists.txt:1: common/none.h: there is no such file"),
]


def run(changes):
    with tempfile.TemporaryDirectory() as folder:
        for path, text in {**TREE, **changes}.items():
            file = pathlib.Path(folder) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        done = subprocess.run([PATHS, folder], capture_output=True, text=True)
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
