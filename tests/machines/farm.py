"""What the proof does with the machines' farm: Ansible from the administrator's place, furrow on the controller's machine."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time

from machine import FOLDER, run


class Failed(Exception):
    """A fact of the proof does not hold; the message is for a person."""


def check(fact, words):
    if not fact:
        raise Failed(words)


def wait_until(question, words, seconds=60):
    """Asks again and again; each question is a round trip to a machine. Returns its first true answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds} s: {words() if callable(words) else words}")


class Play:
    """How a run of a playbook ended."""

    RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)

    def __init__(self, process):
        self.process, self.status, self.output, self.hosts = process, None, "", {}

    def ended(self):
        return self.process.poll() is not None

    def end(self, status, output):
        self.status, self.output = status, output
        self.hosts = {m[0]: dict(zip(("ok", "changed", "unreachable", "failed"), map(int, m[1:]))) for m in self.RECAP.findall(output)}

    def changed(self):
        return sum(host["changed"] for host in self.hosts.values())

    def changes(self):
        """The tasks that changed something, for a message."""
        task, found = "", []
        for line in self.output.splitlines():
            if line.startswith(("TASK [", "RUNNING HANDLER [")):
                task = line.split("[", 1)[1].rsplit("]", 1)[0]
            elif line.startswith("changed: "):
                found.append(f"{task}: {line}")
        return "\n".join(found)


class Playbooks:
    """Runs ansible-playbook as an administrator would who has ansible/ and the packages."""

    def __init__(self, root, key, hosts):
        self.folder = root / "ansible"
        self.key = key
        self.inventory = FOLDER / "inventory.yml"
        self.hosts = hosts
        self.vars = {}

    def write_inventory(self):
        """`hosts`: group → {host: variables}. The file is JSON, which is YAML."""
        groups = {"furrow_controller": {"hosts": self.hosts["furrow_controller"]},
                  "furrow_agents": {"children": {name: {"hosts": hosts} for name, hosts in self.hosts.items() if name != "furrow_controller"}}}
        everything = {"all": {"vars": {"ansible_user": "root", **self.vars}}, **groups}
        self.inventory.write_text(json.dumps(everything, indent=2))

    def play(self, book, *words, **variables):
        with self.background(book, *words, **variables) as play:
            pass
        return play

    @contextlib.contextmanager
    def background(self, book, *words, **variables):
        """Runs a playbook beside what the caller does; its end is waited for."""
        self.write_inventory()
        environment = dict(
            os.environ, HOME=str(self.key.home), ANSIBLE_CONFIG=str(self.folder / "ansible.cfg"), ANSIBLE_NOCOLOR="1",
            ANSIBLE_SSH_ARGS=" ".join(self.key.options), ANSIBLE_SSH_CONTROL_PATH=f"{self.key.home}/.ssh/%%h-%%p",
            ANSIBLE_PYTHON_INTERPRETER="/usr/bin/python3", ANSIBLE_LOCALHOST_WARNING="false", PYTHONDONTWRITEBYTECODE="1",
            LC_ALL="C.UTF-8")
        extra = ["--extra-vars", json.dumps(variables)] if variables else []
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(["ansible-playbook", "-i", str(self.inventory), *words, *extra, book], cwd=self.folder, env=environment,
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            play = Play(process)
            try:
                yield play
                process.wait()
            finally:
                process.kill()  # when the caller failed
                process.wait()
                output.seek(0)
                play.end(process.returncode, output.read())

    def must(self, book, *words, **variables):
        play = self.play(book, *words, **variables)
        check(play.status == 0, f"ansible-playbook {book} failed with {play.status}:\n{play.output}")
        return play

    def must_fail(self, host, reason, book, *words, **variables):
        """The playbook must fail for `host` with words that match `reason`."""
        play = self.play(book, *words, **variables)
        check(play.status != 0, f"ansible-playbook {book} should have failed for {host}:\n{play.output}")
        check(re.search(reason, " ".join(play.output.split())), f"{book} failed, but not with “{reason}”:\n{play.output}")
        return play


class Farm:
    """furrow on the controller's machine."""

    def __init__(self, controller):
        self.controller = controller

    def furrow(self, words, **kwargs):
        return self.controller.ssh("furrow " + words, **kwargs)

    def ask(self, words):
        done = self.furrow("--json " + words, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def agents(self):
        return {agent["name"]: agent for agent in (self.ask("agents") or {"agents": []})["agents"]}

    def connected(self):
        return sorted(name for name, agent in self.agents().items() if agent["connected"])

    def run_state(self, name):
        shown = self.ask(f"show {name}")
        return shown["run"]["state"] if shown else None


def files_of(machine):
    """Every path of a machine that a removed package could have left, but what every Debian writes as it lives."""
    volatile = r"^/(proc|sys|dev|run|tmp|root)(/|$)|^/var/(log|tmp|lib/systemd|lib/private|cache/private|cache/apt|lib/apt|cache/debconf|lib/dpkg|backups)(/|$)" \
               r"|/__pycache__(/|$)|^/etc/(passwd|group|shadow|gshadow|subuid|subgid)-$|^/etc/ld.so.cache$|^/var/cache/ldconfig|^/etc/resolv.conf$|^/etc/.updated$|^/var/.updated$"
    listing = machine.out("find / -xdev -not -path '/proc/*' -not -path '/sys/*' -printf '%p\\n'")
    return {path for path in listing.splitlines() if not re.search(volatile, path)}


def state_of(machine):
    """What a machine has that an installation may add: files, accounts, units, packages, processes' accounts."""
    return {
        "files": files_of(machine),
        "accounts": set(machine.out("cut -d: -f1 /etc/passwd; cut -d: -f1 /etc/group | sed 's/^/group /'").splitlines()),
        "units": set(machine.out("systemctl list-unit-files --no-legend --no-pager | cut -d' ' -f1").splitlines()),
        "packages": set(machine.out("dpkg-query -W -f '${Package} ${db:Status-Abbrev}\\n'").splitlines()),
        "processes": set(machine.out("ps -e -o comm= | grep -i furrow; true").splitlines()),
        "firewall": set(machine.out("nft list ruleset").splitlines()),
    }


def version_of(packages):
    """The version of the packages in a folder."""
    debs = sorted(pathlib.Path(packages).glob("furrow-agent_*.deb"))
    check(len(debs) == 1, f"{packages} should have one furrow-agent package, it has {len(debs)}")
    return run("dpkg-deb", "-f", debs[0], "Version").stdout.strip()
