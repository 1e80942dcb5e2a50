"""Machines that really boot: Debian trees under systemd-nspawn, each with an address on one bridge.

Everything here expects namespaces of its own (mounts, processes, network: see run.py): what is made ends with them,
however the test ends. /run is a file system in memory that belongs to this test alone.
"""

import ctypes
import os
import pathlib
import secrets
import select
import signal
import socket
import subprocess
import time

FOLDER = pathlib.Path("/run/machines")
BOOT_SECONDS = 120
PREFIX = "10.77.0."
RUN = os.environ.get("FURROW_MACHINES_RUN") or secrets.token_hex(3)  # several tests may have machines at a time


def run(*argv, check=True, **kwargs):
    """Runs a program with its output caught; a failure says what it printed."""
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, stdin=kwargs.pop("stdin", subprocess.DEVNULL), **kwargs)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def cgroup_folders():
    """This process's own groups in the hierarchies that systemd uses, as folders."""
    folders = []
    mounts = [line.split() for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()]
    groups = [line.split(":", 2) for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines()]
    for _, point, kind, options, *_ in mounts:
        if not point.startswith("/sys/fs/cgroup"):
            continue
        for _, names, path in groups:
            if (kind == "cgroup2" and names == "") or (kind == "cgroup" and names == "name=systemd" and names in options.split(",")):
                folders.append(pathlib.Path(point + path))
    return folders


class Lan:
    """The bridge on which the machines are; this network namespace is on it, too, as the place of the administrator."""

    ADDRESS = PREFIX + "1"

    def __init__(self):
        pathlib.Path("/run/netns").mkdir(exist_ok=True)
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "lan", "type", "bridge")
        run("ip", "address", "add", self.ADDRESS + "/24", "dev", "lan")
        run("ip", "link", "set", "lan", "up")

    def plug_in(self, name, address):
        """A network namespace for a machine, with one interface on the bridge. Returns its path."""
        run("ip", "netns", "add", name)
        run("ip", "link", "add", name, "type", "veth", "peer", "name", "host0", "netns", name)
        run("ip", "link", "set", name, "master", "lan", "up")
        for words in (["link", "set", "lo", "up"], ["address", "add", address + "/24", "dev", "host0"],
                      ["link", "set", "host0", "up"]):
            run("ip", "-n", name, *words)
        return f"/run/netns/{name}"


class Key:
    """The administrator's SSH key, and the machines' host keys as he knows them."""

    def __init__(self):
        home = FOLDER / "home"
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        self.home, self.file, self.known_hosts = home, home / ".ssh/id_ed25519", home / ".ssh/known_hosts"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "administrator", "-f", self.file)
        self.known_hosts.touch()
        self.options = ["-i", str(self.file), "-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "BatchMode=yes",
                        "-o", "ControlMaster=auto", "-o", f"ControlPath={home}/.ssh/%h-%p", "-o", "ControlPersist=600",
                        "-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR"]


class Machine:
    """A Debian that boots. `layers` are its lower trees, the topmost first; what it writes lies in memory."""

    def __init__(self, lan, key, name, number, layers, disk="4g"):
        self.name, self.address, self.key = name, PREFIX + str(number), key
        self.folder = FOLDER / name
        self.root = self.folder / "root"
        self.console = self.folder / "console.log"
        self.process = None
        self._binds = []
        self.folder.mkdir(parents=True)
        disk_folder = self.folder / "disk"
        disk_folder.mkdir()
        run("mount", "-t", "tmpfs", "-o", f"size={disk},mode=755", name, disk_folder)
        for part in ("upper", "work"):
            (disk_folder / part).mkdir()
        self.root.mkdir()
        run("mount", "-t", "overlay", name, "-o",
            f"lowerdir={':'.join(map(str, layers))},upperdir={disk_folder}/upper,workdir={disk_folder}/work", self.root)
        self.netns = lan.plug_in(name, self.address)
        self._make_its_own()

    def _make_its_own(self):
        etc = self.root / "etc"
        (etc / "hostname").write_text(self.name + "\n")
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n")
        (etc / "machine-id").write_text(secrets.token_hex(16) + "\n")
        (etc / "resolv.conf").unlink(missing_ok=True)
        (etc / "resolv.conf").write_text("")
        # Ansible's apt_repository deletes files of sources that are quite empty.
        (etc / "apt/sources.list").write_text("# none: this machine has no network\n")
        host_key = etc / "ssh/ssh_host_ed25519_key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", host_key)
        algorithm, public, _ = pathlib.Path(f"{host_key}.pub").read_text().split()
        with open(self.key.known_hosts, "a") as known:
            known.write(f"{self.address} {algorithm} {public}\n")
        ssh = self.root / "root/.ssh"
        ssh.mkdir(mode=0o700, exist_ok=True)
        (ssh / "authorized_keys").write_text(pathlib.Path(f"{self.key.file}.pub").read_text())

    def bind(self, outside, inside):
        """Shows a folder of the test's machine inside, read-only, from the next boot on."""
        self._binds.append(f"--bind-ro={outside}:{inside}")

    def start(self):
        """Begins to boot; wait_until_up() waits for the end of it."""
        self.notify_path = self.folder / "notify"
        self.notify_path.unlink(missing_ok=True)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.notify_path))
        groups = []
        for parent in cgroup_folders():
            group = parent / f"furrow-machines-{RUN}-{self.name}"
            group.mkdir(exist_ok=True)
            groups.append(str(group / "cgroup.procs"))
        libc = ctypes.CDLL(None, use_errno=True)

        def enter_groups():
            libc.prctl(1, signal.SIGKILL)
            for file in groups:
                with open(file, "w") as procs:
                    procs.write("0")

        argv = ["systemd-nspawn", "--quiet", f"--directory={self.root}", f"--machine={self.name}", "--boot", "--register=no",
                "--keep-unit", f"--network-namespace-path={self.netns}", "--capability=CAP_NET_ADMIN", "--console=pipe",
                "--notify-ready=yes", "--resolv-conf=off", "--timezone=off", "--link-journal=no", *self._binds]
        environment = dict(os.environ, NOTIFY_SOCKET=str(self.notify_path), SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="1")
        with open(self.console, "ab") as console:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                                            env=environment, preexec_fn=enter_groups)

    def wait_until_up(self):
        """Returns when the machine's systemd says that it has booted, SSH included."""
        deadline = time.monotonic() + BOOT_SECONDS
        pidfd = os.pidfd_open(self.process.pid)
        try:
            while True:
                ready, _, _ = select.select([self.notify, pidfd], [], [], max(0, deadline - time.monotonic()))
                if self.notify in ready and b"READY=1" in self.notify.recv(4096).split(b"\n"):
                    return
                if not ready or pidfd in ready:
                    raise RuntimeError(f"{self.name} did not boot:\n{self.console_tail()}")
        finally:
            os.close(pidfd)

    def console_tail(self, lines=40):
        return "\n".join(self.console.read_text(errors="replace").splitlines()[-lines:])

    def ssh(self, command, check=True, **kwargs):
        """Runs a shell command in it as root, from the administrator's place."""
        return run("ssh", *self.key.options, f"root@{self.address}", command, check=check, **kwargs)

    def out(self, command):
        return self.ssh(command).stdout.strip()

    def stop(self):
        """Shuts it down as a power button does."""
        if self.process is None:
            return
        run("ssh", *self.key.options, "-O", "exit", f"root@{self.address}", check=False)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        self.notify.close()


def remove_groups():
    """Removes the groups of machines that are down, of this and of earlier tests that were killed."""
    for parent in cgroup_folders():
        for folder in parent.glob("furrow-machines-*"):
            for child in sorted((f for f in folder.rglob("*") if f.is_dir()), key=lambda f: -len(f.parts)):
                _remove(child)
            _remove(folder)


def _remove(folder):
    try:
        folder.rmdir()
    except OSError:
        pass  # in use, or gone already
