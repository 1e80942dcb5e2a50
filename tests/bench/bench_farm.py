"""A controller and one agent of this build, in a folder of their own, for the bench to measure."""

import json
import os
import pathlib
import signal
import subprocess
import time

START_SECONDS = 20


class BenchError(Exception):
    """A bench could not run."""


def process_memory(pid):
    """RSS and PSS in bytes."""
    sizes = {}
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        words = line.split()
        if words[0] in ("Rss:", "Pss:"):
            sizes[words[0][:-1].lower()] = int(words[1]) * 1024
    return sizes


def cpu_seconds(pid):
    """What the process itself has used, without its children."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_named(name, folder):
    """Processes of this program that have `folder` among their words."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(name.encode()) and any(str(folder).encode() in word for word in words):
            found.append(int(entry.name))
    return found


class Farm:
    """Runs from `with` to its end; `state` is the controller's folder, `pids` those of the three daemons."""

    def __init__(self, programs, folder):
        self.programs = pathlib.Path(programs)
        self.folder = pathlib.Path(folder)
        self.state = self.folder / "controller"
        self.agent_state = self.folder / "agent"
        self.pids = {}
        self.processes = []

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # The agent first, by SIGINT: it ends its jobs and its runner with it.
        for process in reversed(self.processes):
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in children_named("furrow-runner", self.agent_state):
            os.kill(pid, signal.SIGTERM)

    def _spawn(self, name, config):
        log = open(self.folder / f"{name}.log", "ab")
        process = subprocess.Popen([self.programs / name, "--config", config], stdout=log, stderr=log)
        log.close()
        self.processes.append(process)
        return process

    def _await(self, what, process, condition):
        end = time.monotonic() + START_SECONDS
        while not condition():
            if process.poll() is not None or time.monotonic() > end:
                said = (self.folder / f"{what}.log").read_text(errors="replace")[-2000:]
                raise BenchError(f"{what} did not get ready; it said:\n{said}")
            time.sleep(0.01)

    def _start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "controller.yaml"
        config.write_text(
            f"listen: 127.0.0.1\nports: {{ control: 0, bulk: 0 }}\nstate: {self.state}\njobs: {{ log_quota: 0 }}\n"
        )
        controller = self._spawn("furrow-controller", config)
        self._await("furrow-controller", controller, (self.state / "farm.json").exists)
        address = json.loads((self.state / "farm.json").read_text())
        config = self.folder / "agent.yaml"
        config.write_text(
            f"name: bench\nstate: {self.agent_state}\noffer: {{ cpus: 2 }}\n"
            f"controller: {{ control: \"{address['control']}\", bulk: \"{address['bulk']}\", key: \"{address['key']}\" }}\n"
        )
        words = [self.programs / "furrow-agent", "--config", config, "identity"]
        line = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        with open(self.state / "allowlist", "a") as allowlist:
            allowlist.write(line)
        agent = self._spawn("furrow-agent", config)
        log = self.folder / "furrow-agent.log"
        self._await("furrow-agent", agent, lambda: "registered" in log.read_text(errors="replace"))
        self.pids = {"controller": controller.pid, "agent": agent.pid}
        runners = children_named("furrow-runner", self.agent_state)
        if runners:
            self.pids["runner"] = runners[0]

    def cpu(self):
        return {name: cpu_seconds(pid) for name, pid in self.pids.items()}
