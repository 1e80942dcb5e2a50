#!/usr/bin/python3
"""Checks that every include between rooms is drawn in arrows.txt, and that the drawing is one to live with.

    arrows.py [ROOT]     ROOT: the project's root, by default the one this script lies in

A room is a folder, or a file that stands beside rooms. Prints what is wrong, a line each; exit status 1 if anything is.
"""

import pathlib
import re
import sys

TOP = ("common", "controller", "agent", "schemas")
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')


def read_table(path):
    """[(room, [rooms that it may include], line number)] in the table's order."""
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        room, _, targets = line.partition("->")
        rows.append((room.strip(), targets.split(), number))
    return rows


def room_of(path, rooms):
    """The longest room that the path lies in: "common/base" of common/base/log.h, "agent/loop" of agent/loop.h."""
    parts = path.split("/")
    for length in range(len(parts), 0, -1):
        name = "/".join(parts[:length])
        if length == len(parts):
            name = name.rsplit(".", 1)[0]
        if name in rooms:
            return name
    return None


def check_table(rows, table):
    order = {room: place for place, (room, _, _) in enumerate(rows)}
    for place, (room, targets, number) in enumerate(rows):
        if order[room] != place:
            yield f"{table}:{number}: {room} stands here twice"
        for target in targets:
            if target not in order:
                yield f"{table}:{number}: {room} -> {target}: there is no such room"
            elif order[target] <= place:
                yield f"{table}:{number}: {room} -> {target}: an arrow runs down the table, so that none can close a circle"


def check_sources(root, rows):
    allowed = {room: set(targets) for room, targets, _ in rows}
    used = {room: set() for room in allowed}
    for top in TOP:
        for file in sorted((root / top).rglob("*")):
            if file.suffix not in (".h", ".cpp", ".c"):
                continue
            path = file.relative_to(root).as_posix()
            room = room_of(path, allowed)
            if room is None:
                yield f"{path}: lies in no room of the table"
                continue
            for number, line in enumerate(file.read_text().splitlines(), 1):
                found = INCLUDE.match(line)
                if found and found[1].startswith("tests/"):
                    yield f"{path}:{number}: {found[1]}: the programs include nothing of the tests"
                if not found or found[1].split("/")[0] not in TOP:
                    continue
                target = room_of(found[1], allowed)
                if target == room:
                    continue
                if target is None:
                    yield f"{path}:{number}: {found[1]} lies in no room of the table"
                elif target in allowed[room]:
                    used[room].add(target)
                else:
                    yield f"{path}:{number}: {found[1]}: no arrow {room} -> {target} is drawn"
    for room, targets, _ in rows:
        for target in targets:
            if room != "schemas" and target not in used[room]:  # its headers lie in the build folder
                yield f"arrow {room} -> {target}: nothing includes along it any more"


def check_readmes(root, rows):
    """A reader meets each room, with its role, in the page of the folder that it lies in."""
    for room, _, _ in rows:
        folder, _, name = room.rpartition("/")
        page = root / folder / "README.md"
        if folder and page.exists() and not re.search(rf"`{re.escape(name)}[/`.*]", page.read_text()):
            yield f"{folder}/README.md: says nothing of {name}"


def main():
    here = pathlib.Path(__file__).resolve().parent
    root = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else here.parent.parent
    table = root / "tests/lint/arrows.txt"
    rows = read_table(table)
    wrong = list(check_table(rows, table.relative_to(root)))
    wrong += check_sources(root, rows)
    wrong += check_readmes(root, rows)
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
