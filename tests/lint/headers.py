#!/usr/bin/python3
"""Checks that who uses a part of the standard library includes its header.

    headers.py [ROOT]     ROOT: the project's root, by default the one this script lies in

A header that another one happens to include is missing with the next compiler: what one release of Debian builds fails on
the other. Only those headers count that have gone missing so. Prints a line for each fault; exit status 1 if there is any.
"""

import pathlib
import re
import sys

ALGORITHM = (
    "adjacent_find all_of any_of binary_search clamp copy copy_if copy_n count count_if equal equal_range fill fill_n find "
    "find_end find_first_of find_if find_if_not for_each generate includes is_permutation is_sorted lexicographical_compare "
    "lower_bound max max_element merge min min_element minmax mismatch next_permutation none_of nth_element partial_sort "
    "partition partition_point remove remove_if replace replace_if reverse rotate sample search set_difference "
    "set_intersection set_union shuffle sort stable_partition stable_sort transform unique unique_copy upper_bound"
).split()
NUMERIC = "accumulate adjacent_difference exclusive_scan gcd inner_product iota lcm midpoint partial_sum reduce".split()

# header, what needs it
RULES = [
    ("algorithm", re.compile(r"\bstd::(?:ranges::)?(" + "|".join(ALGORITHM) + r")\(")),
    ("numeric", re.compile(r"\bstd::(" + "|".join(NUMERIC) + r")\(")),
]
# The one of <algorithm>: `std::remove(path)` of <cstdio> has one argument.
OF_CSTDIO = re.compile(r"\bstd::remove\([^,()]*(\([^()]*\))?[^,()]*\)")
COMMENT = re.compile(r"//.*")


def faults(name, text):
    found = []
    for header, use in RULES:
        if f"#include <{header}>" in text:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            hit = use.search(OF_CSTDIO.sub("", COMMENT.sub("", line)))
            if hit:
                found.append(f"{name}:{number}: {hit.group(0)[:-1]} needs #include <{header}>")
                break
    return found


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2])
    names = sorted(path.relative_to(root).as_posix() for folder in ("agent", "common", "controller", "schemas", "tests")
                   for path in (root / folder).rglob("*") if path.suffix in (".cpp", ".h", ".c"))  # fmt: skip
    wrong = [fault for name in names for fault in faults(name, (root / name).read_text(encoding="utf-8"))]
    print("\n".join(wrong) if wrong else f"headers: {len(names)} files include what they use")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
