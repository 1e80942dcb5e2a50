#!/usr/bin/python3
"""Checks that the files that pages and comments name are there, and that links between pages lead somewhere.

    paths.py [ROOT]     ROOT: the project's root, by default the one this script lies in

In a page (*.md) every name in backticks counts that has a slash or ends as a source file does. It is looked for from the
page's folder and from the root; `*`, `?` and {a,b} may stand in it, and the ending may be missing. In a comment of a source
file every name with such an ending counts; one without a slash may lie anywhere. A component in capitals, such as RUN in
`logs/RUN`, stands for something: such a name is not looked for. Prints what is wrong, a line each; exit status 1 if
anything is.
"""

import fnmatch
import itertools
import os
import pathlib
import re
import sys

ENDINGS = (".cpp", ".h", ".capnp", ".md", ".sh", ".py")
COMMENTS = {".cpp": "//", ".h": "//", ".c": "//", ".capnp": "#", ".cmake": "#", ".txt": "#", ".py": "#", ".sh": "#",
            ".yaml": "#", ".yml": "#", ".service": "#", ".in": "#"}  # fmt: skip

# Names that are right although no such file is in the repository: what a build makes, what programs keep in their state
# folders, what stands in other repositories and in the examples.
ELSEWHERE = (
    "build/*", "caps.md", "schemas/*.h", "schemas/*_codec.cpp", "sys/*.h", "rocksdb/*.h", "zmq.h",
    "agents/", "blobs/", "cache/", "corrupt/", "daemons/*", "db/", "logs/", "mirrors/", "spool/", "work/",
)  # fmt: skip

# A fence closes with at least as many marks as it opened with.
FENCE = re.compile(r"^ {0,3}(```+|~~~+).*?^ {0,3}\1[`~]*[ \t]*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAME = re.compile(r"[\w.{},*?+/-]+")
IN_COMMENT = re.compile(r"[\w.{},*?+/-]*[\w}*](?:" + "|".join(map(re.escape, ENDINGS)) + r")(?!\w|\.\w)")
# `a.cpp`, `X_codec.h`, `tests/NAME.sh`, `agent-N/`: a letter or capitals in place of a name.
PLACEHOLDER = re.compile(r"(^|[/_-])([a-z](_\w+)?\.\w+$|[A-Z]+(?=[/_-]|\.(?!md$)|$))")


def expand(name):
    """The names that {a,b} stands for."""
    parts = re.split(r"\{([^{}]*)\}", name)
    choices = [part.split(",") if index % 2 else [part] for index, part in enumerate(parts)]
    return ["".join(choice) for choice in itertools.product(*choices)]


class Tree:
    """The files below a root, without what is built and what is hidden."""

    def __init__(self, root):
        self.files = set()
        self.folders = set()
        for top, folders, files in os.walk(root):
            folder = pathlib.PurePosixPath(pathlib.Path(top).relative_to(root).as_posix())
            skipped = ("build", "shared", "node_modules") if str(folder) == "." else ()
            folders[:] = [name for name in folders if name not in skipped and name not in (".git", "__pycache__")]
            self.folders.update(str(folder / name) for name in folders)
            self.files.update(str(folder / name) for name in files)
        self.names = {name.rsplit("/", 1)[-1] for name in self.files}

    def has(self, base, name):
        """Whether a file or folder of this name, a pattern perhaps, lies in the base folder."""
        path = os.path.normpath(os.path.join(base, name))
        if path == ".":
            return True
        if name.endswith("/"):
            return path in self.folders or bool(fnmatch.filter(self.folders, path))
        if path in self.files or path in self.folders:
            return True
        # fnmatch's * crosses slashes; a path's does not.
        at = path.count("/")
        near = (one for one in self.files | self.folders if one.count("/") == at)
        return any(fnmatch.fnmatchcase(one, path) or fnmatch.fnmatchcase(one, path + ".*") for one in near)

    def knows(self, folder, name):
        if "{}" in name or PLACEHOLDER.search(name) or any(fnmatch.fnmatchcase(name, one) for one in ELSEWHERE):
            return True
        return all(self.has(folder, one) or self.has(".", one) for one in expand(name))


def blank(match):
    """As many lines, and nothing in them."""
    return re.sub(r"[^\n]", " ", match[0])


def names_in_code(text):
    """(line number, name) of each path in backticks."""
    for match in CODE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        for word in match[2].split():
            word = word.rstrip(",;:")
            if not NAME.fullmatch(word) or word[0] in "/-" or set(word) <= set("./") or word in ENDINGS:
                continue
            if "/" in word or word.endswith(ENDINGS):
                yield line, word


def anchors(text):
    """What a heading is called in a link, as GitHub makes it."""
    found = set()
    for heading in re.findall(r"^#{1,6} +(.+?)\s*$", FENCE.sub(blank, text), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = 0
        while slug + (f"-{number}" if number else "") in found:
            number += 1
        found.add(slug + (f"-{number}" if number else ""))
    return found


def check_page(root, tree, page):
    text = FENCE.sub(blank, (root / page).read_text())
    folder = os.path.dirname(page)
    for line, name in names_in_code(text):
        if not tree.knows(folder, name):
            yield f"{page}:{line}: `{name}`: there is no such file"
    for match in LINK.finditer(CODE.sub(blank, text)):
        line = text.count("\n", 0, match.start()) + 1
        if re.match(r"[a-z]+:", match[1]):
            continue
        path, _, anchor = match[1].partition("#")
        target = os.path.normpath(os.path.join(folder, path)) if path else page
        if target not in tree.files and target not in tree.folders:
            yield f"{page}:{line}: ({match[1]}): there is no such file"
        elif anchor and (not target.endswith(".md") or anchor not in anchors((root / target).read_text())):
            yield f"{page}:{line}: ({match[1]}): there is no such heading"


def check_comments(root, tree, file):
    mark = COMMENTS[os.path.splitext(file)[1]]
    folder = os.path.dirname(file)
    for line, text in enumerate((root / file).read_text().splitlines(), 1):
        _, found, comment = text.partition(mark)
        if not found or comment.lstrip().startswith(("include", "!")):
            continue
        for name in IN_COMMENT.findall(comment):
            if not tree.knows(folder, name) and not ("/" not in name and fnmatch.filter(tree.names, name)):
                yield f"{file}:{line}: {name}: there is no such file"


def main():
    here = pathlib.Path(__file__).resolve().parent
    root = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else here.parent.parent
    tree = Tree(root)
    wrong = []
    for file in sorted(tree.files):
        if file.endswith(".md"):
            wrong += check_page(root, tree, file)
        elif os.path.splitext(file)[1] in COMMENTS and not file.startswith("tests/lint/"):
            wrong += check_comments(root, tree, file)
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
