#!/usr/bin/python3
"""Proves that headers.py finds a header that is missing, and leaves right files alone."""

import pathlib
import subprocess
import sys
import tempfile

HEADERS = pathlib.Path(__file__).resolve().parent / "headers.py"
failed = 0


def check(what, text, expected):
    global failed
    with tempfile.TemporaryDirectory() as root:
        path = pathlib.Path(root) / "common" / "a.cpp"
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
        run = subprocess.run([HEADERS, root], capture_output=True, text=True, check=False)
        right = expected in run.stdout and (run.returncode == 1) == expected.startswith("common/")
        failed += not right
        print(("ok      " if right else "FAILED  ") + what + ("" if right else ": " + run.stdout))


FINE = "files include what they use"
check("an algorithm", "int a() {\n  return std::max(1, 2);\n}\n", "common/a.cpp:2: std::max needs #include <algorithm>")
check("one of std::ranges", "void a() { std::ranges::sort(b); }\n", "common/a.cpp:1: std::ranges::sort needs")
check("a number", "int a() { return std::accumulate(b, e, 0); }\n", "std::accumulate needs #include <numeric>".join(["common/a.cpp:1: ", ""]))
check("another header does not do", "#include <numeric>\nint a() { return std::count(b, e, 0); }\n", "common/a.cpp:2: std::count needs")
check("the header is there", "#include <algorithm>\nint a() { return std::max(1, 2); }\n", FINE)
check("a comment", "// std::sort(a) would do.\n", FINE)
check("std::remove of a file", 'void a() { std::remove(path.c_str()); }\n', FINE)
check("std::remove of elements", "void a() { std::remove(b.begin(), b.end(), 1); }\n", "common/a.cpp:1: std::remove needs")
check("a member of that name", "void a() { b.find(1); std::string::npos; }\n", FINE)
sys.exit(1 if failed else 0)
