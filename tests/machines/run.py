#!/usr/bin/env python3
"""Proves, on machines that really boot, what ansible/ and the packages promise. See README.md.

  run.py --fake-nvml LIBRARY [--packages DIR --next DIR] [--example whole]

Exit status: 0 proved, 1 not, 77 this machine lacks something that booting machines needs: it says what.

This part only prepares: it looks for what is needed, makes the base system, and starts proof.py in namespaces of its own
for mounts, processes and network. When this program ends, in whichever way, the kernel ends all of that with it.
"""

import argparse
import ctypes
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import base  # noqa: E402
import machine  # noqa: E402

SKIPPED = 77
PROGRAMS = {
    "systemd-nspawn": "systemd-container", "mmdebstrap": "mmdebstrap", "ansible-playbook": "ansible-core", "ip": "iproute2",
    "ssh": "openssh-client", "ssh-keygen": "openssh-client", "dpkg-scanpackages": "dpkg-dev", "unshare": "util-linux",
    "git": "git",
}
# What the example needs on an agent beside Furrow's own packages.
EXAMPLE_NEEDS = ["python3-torch", "python3-numpy", "dataset-fashion-mnist"]


def what_is_missing():
    """Why machines cannot boot here, or nothing."""
    if os.geteuid() != 0:
        return "this needs root"
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            return f"{program} is missing (Debian package {package})"
    tried = subprocess.run(
        [*namespaces(network=True), "sh", "-c",
         "mount -t tmpfs none /run && mkdir /run/a /run/b /run/c /run/d && "
         "mount -t overlay none -o lowerdir=/run/a,upperdir=/run/b,workdir=/run/c /run/d && ip link add lan type bridge && "
         "ip link add one type veth peer name two"], capture_output=True, text=True)
    if tried.returncode != 0:
        return f"namespaces with mounts, a bridge and veth cannot be had: {tried.stderr.strip()}"
    if not machine.cgroup_folders() or not all(os.access(folder, os.W_OK) for folder in machine.cgroup_folders()):
        return "control groups for the machines cannot be made below /sys/fs/cgroup"
    return None


def namespaces(network):
    words = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc", "--kill-child", "--ipc", "--uts"]
    return words + (["--net"] if network else [])


started = []


def start(argv, **kwargs):
    """Starts a program that dies with us."""
    libc = ctypes.CDLL(None)
    process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, preexec_fn=lambda: libc.prctl(1, signal.SIGKILL), **kwargs)
    started.append(process)
    return process


def end(process):
    """Ends a program with all that it has started. What unshare has started is the first of a process namespace: when
    that dies the kernel ends the rest, and unshare sees it only then."""
    if process.poll() is not None:
        return
    try:
        for child in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        process.wait(30)
    except (OSError, subprocess.TimeoutExpired):
        process.kill()
        process.wait()


def clean_up():
    for process in started:
        end(process)
    machine.remove_groups()


def make_packages(root):
    """The folders of the packages of this version and of the next one; build/ is as it was afterwards."""
    folder = root / "build/machines"
    shutil.rmtree(folder, ignore_errors=True)
    version = re.search(r"project\(furrow VERSION (\d+)\.(\d+)", (root / "CMakeLists.txt").read_text())
    bumped = f"{version[1]}.{int(version[2]) + 1}.0"
    for words in (["--version", bumped, "--output", folder / "next"], ["--output", folder / "now"]):
        made = start([root / "farm", "package", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        output = made.stdout.read()
        if made.wait() != 0:
            sys.exit(f"./farm package failed:\n{output[-4000:]}")
    return folder / "now", folder / "next"


def main():
    parser = argparse.ArgumentParser(description="boots three machines and proves ansible/ and the packages on them")
    parser.add_argument("--root", type=pathlib.Path, default=HERE.parent.parent, help="the project")
    parser.add_argument("--packages", type=pathlib.Path, help="the folder of Furrow's .debs; without it they are made now, of this and the next version")
    parser.add_argument("--next", type=pathlib.Path, help="the folder of the next version's")
    parser.add_argument("--fake-nvml", type=pathlib.Path, required=True, help="the library that gives a machine GPUs")
    parser.add_argument("--example", choices=["small", "whole"], default="small", help="how much of config/examples/fashion-mnist")
    parser.add_argument("--go-on", action="store_true", help="after a step that failed, too")
    arguments = parser.parse_args()

    missing = what_is_missing()
    if missing:
        print(f"SKIPPED: no machines are booted: {missing}")
        return SKIPPED

    began = time.monotonic()
    if arguments.packages is None:
        arguments.packages, arguments.next = make_packages(arguments.root)
        print(f"packages of two versions: {time.monotonic() - began:.1f} s", flush=True)
    began = time.monotonic()
    debs = sorted(arguments.packages.glob("*.deb"))
    if not debs:
        print(f"no packages in {arguments.packages}: ./farm package makes them")
        return 1
    maker = start([*namespaces(network=False), sys.executable, HERE / "base.py", *debs, "--", *EXAMPLE_NEEDS], stdout=subprocess.PIPE, text=True)
    folder = maker.stdout.read().strip()
    if maker.wait() != 0:
        print(f"the machines' Debian could not be made; {base.cache_folder() / 'log'} has it all")
        return 1
    print(f"the machines' Debian: {time.monotonic() - began:.1f} s", flush=True)

    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1", FURROW_MACHINES_RUN=machine.RUN)
    status = start([*namespaces(network=True), sys.executable, HERE / "proof.py", "--root", arguments.root, "--base", folder,
                    "--packages", arguments.packages, "--next", arguments.next,
                    "--fake-nvml", arguments.fake_nvml, "--example", arguments.example,
                    *(["--go-on"] if arguments.go_on else [])], env=environment).wait()
    clean_up()
    left = [str(f) for parent in machine.cgroup_folders() for f in parent.glob(f"furrow-machines-{machine.RUN}-*")]
    if left:
        print(f"left behind: {left}")
        return 1
    return 0 if status == 0 else 1


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        sys.exit(main())
    finally:
        clean_up()
