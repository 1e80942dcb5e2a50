"""The Debian that the machines boot, of the release of this one: made once and cached by its recipe.

Two layers: `plain` is a small server with systemd and SSH, as a fresh installation has them; `needs` lies over it and
holds what Furrow's packages depend on, so that the machines need no network. `debs` is an apt repository of the same
dependencies, for the machine on which everything is installed from nothing.
"""

import fcntl
import hashlib
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

RECIPE = "2"  # counts up when what this file does changes
SUITE = platform.freedesktop_os_release()["VERSION_CODENAME"]  # for it the packages are built
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# What a fresh Debian server has, and what Ansible needs of it: Python with apt's module, and an SSH server.
PLAIN = ["systemd", "systemd-sysv", "dbus", "openssh-server", "python3", "python3-apt", "iproute2", "ca-certificates",
         "procps", "git", "nftables"]


class BaseError(Exception):
    """The base could not be made; the message says why."""


def cache_folder():
    """Where bases are kept: FURROW_MACHINES_CACHE, else below /var/cache."""
    return pathlib.Path(os.environ.get("FURROW_MACHINES_CACHE") or "/var/cache/furrow-machines")


def debian_sources():
    """The host's own apt sources of Debian's main archive, one line each: that is where this machine can download."""
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(ORIGIN)",
         "Created-By: Packages", "Component: main"], capture_output=True, text=True, check=True).stdout
    lines = []
    for line in listing.splitlines():
        words = line.split()
        if len(words) == 3 and words[2] == "Debian" and re.fullmatch(rf"{SUITE}(-updates|-security)?", words[1]):
            lines.append(f"deb [signed-by={KEYRING}] {words[0]} {words[1]} main")
    if not lines:
        raise BaseError(f"apt on this machine has no source of Debian's {SUITE} main: run apt-get update, see /etc/apt/sources.list")
    return sorted(set(lines))


def apt_options():
    """The host's settings for downloads (a proxy, retries), as options of apt-get."""
    dump = subprocess.run(["apt-config", "dump", "--no-empty", "Acquire"], capture_output=True, text=True, check=True).stdout
    wanted = re.compile(r'^(Acquire::(?:https?::[^ ]*|Retries|Check-[^ ]*)) "(.*)";$')
    return [f'{m.group(1)} "{m.group(2)}"' for m in map(wanted.match, dump.splitlines()) if m]


def _run(argv, log, **kwargs):
    with open(log, "ab") as out:
        status = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **kwargs).returncode
    if status != 0:
        tail = "\n".join(pathlib.Path(log).read_text(errors="replace").splitlines()[-15:])
        raise BaseError(f"{argv[0]} failed with {status}:\n{tail}")


def _make_plain(tree, log):
    options = [word for option in apt_options() + ['Acquire::Languages "none"'] for word in ("--aptopt", option)]
    skip = ["--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
            "--dpkgopt=force-unsafe-io"]
    _run(["mmdebstrap", "--mode=root", "--variant=apt", "--format=directory", *options, *skip,
          "--include=" + ",".join(PLAIN), SUITE, str(tree), *debian_sources()], log)
    # Each machine gets its own: a copied host key or machine id would make them one.
    for name in (tree / "etc/ssh").glob("ssh_host_*"):
        name.unlink()
    (tree / "etc/machine-id").write_text("")
    (tree / "etc/apt/sources.list").write_text("")


def _make_needs(plain, upper, debs, relations, scratch, log):
    """Installs what `relations` asks for in an overlay of `plain`; keeps the .debs that this took."""
    merged, work = scratch / "merged", scratch / "work"
    for folder in (merged, work, upper, debs):
        folder.mkdir(parents=True, exist_ok=True)
    _run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={plain},upperdir={upper},workdir={work}", str(merged)], log)
    try:
        # apt of this machine, so that its network settings hold, downloads for the tree.
        (merged / "etc/apt/sources.list").write_text("\n".join(debian_sources()) + "\n")
        settings = scratch / "apt.conf"
        settings.write_text("".join(f"{o};\n" for o in apt_options()) +
                            f'Dir "{merged}/"; Dir::Etc::Trusted "/etc/apt/trusted.gpg"; Dir::Etc::TrustedParts "/etc/apt/trusted.gpg.d/";\n'
                            f'APT::Sandbox::User "root"; DPkg::Chroot-Directory "{merged}"; Acquire::Languages "none";\n'
                            'DPkg::Options { "--force-unsafe-io"; };\n')
        environment = dict(os.environ, APT_CONFIG=str(settings), DEBIAN_FRONTEND="noninteractive", LC_ALL="C.UTF-8")
        policy = merged / "usr/sbin/policy-rc.d"  # no service starts in a tree that has not booted
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        _run(["apt-get", "update"], log, env=environment)
        _run(["apt-get", "-y", "--no-install-recommends", "satisfy", *relations], log, env=environment)
        policy.unlink()
        for deb in (merged / "var/cache/apt/archives").glob("*.deb"):
            shutil.move(str(deb), str(debs / deb.name))
        (merged / "etc/apt/sources.list").write_text("")
        shutil.rmtree(merged / "var/lib/apt/lists")
        (merged / "var/lib/apt/lists/partial").mkdir(parents=True)
    finally:
        subprocess.run(["umount", "-l", str(merged)], check=False)
    index_repository(debs)


def index_repository(folder):
    """Makes a folder of .debs an apt repository."""
    index = subprocess.run(["dpkg-scanpackages", "--multiversion", "."], cwd=folder, capture_output=True, text=True, check=True)
    (pathlib.Path(folder) / "Packages").write_text(index.stdout)


def relations_of(packages):
    """What the .debs depend on and recommend, without each other, as relations for `apt-get satisfy`."""
    wanted = set()
    for package in packages:
        for field in ("Pre-Depends", "Depends", "Recommends"):
            text = subprocess.run(["dpkg-deb", "-f", str(package), field], capture_output=True, text=True, check=True).stdout
            for relation in filter(None, (part.strip() for part in text.replace("\n", " ").split(","))):
                name = relation.split()[0]  # whichever version the suite has: a newer one that is asked for would be an error of its own
                if not re.match(r"(furrow|adduser$)", name):
                    wanted.add(name)
    return sorted(wanted)


def base_for(relations):
    """The folder with `plain`, `needs` and `debs` for these dependencies; made now if it is not there yet."""
    key = hashlib.sha256("\n".join([RECIPE, SUITE, *PLAIN, *relations]).encode()).hexdigest()[:16]
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / key
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder
        for old in cache.iterdir():
            if old.is_dir():  # of another recipe, or cut short
                shutil.rmtree(old)
        part = pathlib.Path(tempfile.mkdtemp(prefix="part.", dir=cache))
        part.chmod(0o755)
        log = cache / "log"
        log.unlink(missing_ok=True)
        _make_plain(part / "plain", log)
        _make_needs(part / "plain", part / "needs", part / "debs", relations, part / "scratch", log)
        shutil.rmtree(part / "scratch", ignore_errors=True)
        part.rename(folder)
    return folder


def main():
    """base.py DEB… -- RELATION…: prints the folder of the base for these packages."""
    words = sys.argv[1:]
    middle = words.index("--")
    try:
        print(base_for(sorted(set(relations_of(words[:middle]) + words[middle + 1:]))))
    except BaseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
