"""What the farm is set beside: bare processes, an ssh pipe and rsync, each over loopback, all made for the bench."""

import getpass
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

from bench_farm import BenchError

SSHD = "/usr/sbin/sshd"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def timed(words, **options):
    begin = time.monotonic()
    result = subprocess.run(words, capture_output=True, text=True, **options)
    seconds = time.monotonic() - begin
    if result.returncode != 0:
        raise BenchError(f"{words} ended with {result.returncode}: {result.stderr[-1000:]}")
    return seconds


class Sshd:
    """An ssh server on a free port of the loopback, with keys and configuration of its own, for one `with`."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.process = None

    def __enter__(self):
        if not pathlib.Path(SSHD).exists() or shutil.which("ssh") is None:
            raise BenchError("openssh-server and openssh-client are needed for the limit")
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("host", "user"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", self.folder / name], check=True
            )
        shutil.copy(self.folder / "user.pub", self.folder / "authorized")
        port = free_port()
        (self.folder / "config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {self.folder}/authorized\nStrictModes no\nPasswordAuthentication no\n"
            "PermitRootLogin prohibit-password\nPrintMotd no\n"
        )
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)  # it refuses to start without
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen([SSHD, "-D", "-e", "-f", self.folder / "config"], stdout=log, stderr=log)
        log.close()
        self.command = [
            "ssh", "-p", str(port), "-i", str(self.folder / "user"), "-l", getpass.getuser(), "-o", "BatchMode=yes",
            "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={self.folder}/known", "-o", "IdentitiesOnly=yes",
            "-o", "LogLevel=ERROR", "-F", "none",
        ]  # fmt: skip
        for attempt in range(50):
            if subprocess.run([*self.command, "127.0.0.1", "true"], capture_output=True).returncode == 0:
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        self.__exit__()
        raise BenchError("no ssh to 127.0.0.1: " + (self.folder / "log").read_text(errors="replace")[-500:])

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def pipe(self, source, target):
        """Seconds of `cat SOURCE | ssh localhost 'cat > TARGET && sync TARGET'`."""
        with open(source, "rb") as file:
            return timed([*self.command, "127.0.0.1", f"cat > {target} && sync {target}"], stdin=file)

    def rsync(self, source, target):
        """Seconds of rsync over this ssh to a TARGET that holds an older version, perhaps of the same second."""
        return timed(["rsync", "-tI", "-e", " ".join(self.command), str(source), f"127.0.0.1:{target}"])


LOG_BLOCK = 32 << 20


def write_log_text(path, size):
    """What trainings print: 32 MiB that do not repeat, again and again (compression looks back 1 MiB at most)."""
    import random

    rng = random.Random(1)
    lines, length, step = [], 0, 0
    while length < LOG_BLOCK:
        step += 1
        clock = f"2024-03-{1 + step // 86400 % 28:02d} {step // 3600 % 24:02d}:{step // 60 % 60:02d}:{step % 60:02d}"
        kind = step % 50
        if kind == 0:
            text = f"{clock},{rng.randrange(1000):03d} INFO trainer.evaluate: accuracy {rng.random():.6f} loss {rng.random():.6f}\n"
        elif kind == 7:
            text = f"{clock},{rng.randrange(1000):03d} WARNING data.loader: sample {rng.randrange(10**7)} skipped: shape (1, 28, {rng.randrange(28)})\n"
        elif kind == 13:
            text = f"saved checkpoint ckpt/step-{step:08d}.pt ({rng.randrange(10**9)} bytes, sha256 {rng.getrandbits(256):064x})\n"
        else:
            text = f"epoch {step // 5000} step {step} lr 1.00e-02 loss {rng.random() * 3:.6f} grad_norm {rng.random() * 9:.4f} images/s {4000 + rng.randrange(500)} gpu_mem {10 + rng.random():.2f} GiB\n"
        lines.append(text)
        length += len(text)
    block = "".join(lines).encode()[:LOG_BLOCK]
    with open(path, "wb") as file:
        for _ in range(size // len(block)):
            file.write(block)
        file.write(block[: size % len(block)])
        file.flush()
        os.fsync(file.fileno())


def warm_memory(size):
    """Touches memory and frees it. A virtual machine's host may take free memory back, and its next use then costs up
    to 3 s a GiB: whichever side came second would pay for it or not, by chance. Called before both sides of a figure
    that fills the page cache."""
    subprocess.run([sys.executable, "-c", f"b'1' * {size}"], check=True)


def write_random(path, size):
    """On the disk when it returns: whoever syncs the file system next must not pay for it."""
    with open(path, "wb") as file:
        for _ in range(size >> 20):
            file.write(os.urandom(1 << 20))
        os.fsync(file.fileno())


def change_one_byte(path):
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
