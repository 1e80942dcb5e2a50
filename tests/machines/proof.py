"""The proof itself, step after step, in the namespaces that run.py has made. Each step prints a line with its time."""

import argparse
import pathlib
import shutil
import sys
import time
import traceback

from farm import Failed, Farm, Playbooks, check, state_of, version_of, wait_until
from machine import FOLDER, Key, Lan, Machine, run

import bad_inputs
import jobs
import sources
import upgrades

GPUS = "gpu GPU-5a0c1f9e-0000-0000-0000-000000000001 42949672960 NVIDIA A100-SXM4-40GB\n"


class Proof:
    """What the steps share."""

    def __init__(self, arguments):
        self.root, self.packages, self.next = arguments.root.resolve(), arguments.packages.resolve(), arguments.next.resolve()
        self.example = arguments.example
        self.fake_nvml = arguments.fake_nvml.resolve()
        self.version, self.next_version = version_of(self.packages), version_of(self.next)
        self.base = arguments.base
        self.machines = {}
        self.failures, self.go_on = 0, arguments.go_on

    def step(self, words, function):
        began = time.monotonic()
        try:
            note = function()
        except (Failed, RuntimeError) as error:
            print(f"FAILED  {words}  {time.monotonic() - began:.1f} s\n{error}", flush=True)
            self.failures += 1
            if not self.go_on:
                raise
            return
        print(f"ok      {words}{': ' + note if note else ''}  {time.monotonic() - began:.1f} s", flush=True)

    # ---- the machines ----

    def boot(self):
        run("mount", "-t", "tmpfs", "-o", "mode=755", "run", "/run")
        FOLDER.mkdir()
        lan, self.key = Lan(), Key()
        repository = sources.make_repository(self)
        plain, needs = self.base / "plain", self.base / "needs"
        for number, name in enumerate(["controller", "gpu-1", "gpu-2", "new"]):
            layers = [plain] if name == "new" else [needs, plain]
            machine = self.machines[name] = Machine(lan, self.key, name, 10 + number, layers)
            machine.bind(self.base / "debs", "/srv/debs")
            machine.bind(self.packages, "/srv/packages")
            machine.bind(repository, "/srv/repository")
        self.controller, self.gpu1, self.gpu2, self.new = self.machines.values()
        self.pretend_gpus(self.gpu1)
        (self.new.root / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/debs ./\n")
        nftables = self.controller.root / "etc/nftables.conf"
        nftables.write_text("#!/usr/sbin/nft -f\nflush ruleset\ntable inet filter {\n  chain input {\n    type filter hook input priority filter; policy drop;\n"
                            "    iif lo accept\n    ct state established,related accept\n    tcp dport 22 accept\n  }\n}\n")
        wants = self.controller.root / "etc/systemd/system/sysinit.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        (wants / "nftables.service").symlink_to("/lib/systemd/system/nftables.service")
        for machine in self.machines.values():
            machine.start()
        for machine in self.machines.values():
            machine.wait_until_up()
        self.farm = Farm(self.controller)
        self.books = Playbooks(self.root, self.key, {
            "furrow_controller": {"controller": {"ansible_host": self.controller.address}},
            "gpu": {"gpu-1": {"ansible_host": self.gpu1.address, "furrow_agent_labels": ["a100"], "furrow_agent_needs_gpus": 1}},
            "cpu": {"gpu-2": {"ansible_host": self.gpu2.address}},
        })
        self.books.vars = {"furrow_packages_path": str(self.packages)}
        self.before = {name: state_of(machine) for name, machine in self.machines.items() if name != "new"}

    def pretend_gpus(self, machine):
        """NVIDIA's management library, as a driver would have installed it, that says what a file says."""
        library = machine.root / "usr/lib/x86_64-linux-gnu"
        shutil.copy(self.fake_nvml, library / "libnvidia-ml.so.1")
        (machine.root / "etc/gpus").write_text(GPUS)
        (machine.root / "etc/environment").write_text("FURROW_FAKE_NVML=/etc/gpus\n")
        settings = machine.root / "etc/systemd/system.conf.d"
        settings.mkdir(parents=True)
        (settings / "gpus.conf").write_text("[Manager]\nDefaultEnvironment=FURROW_FAKE_NVML=/etc/gpus\n")

    def real_three(self):
        return {name: self.machines[name] for name in ("controller", "gpu-1", "gpu-2")}

    # ---- installing ----

    def check_before(self):
        play = self.books.must("site.yml", "--check", "--diff")
        for name, machine in self.real_three().items():
            now = state_of(machine)
            check(now == self.before[name], f"--check changed {name}: {difference(self.before[name], now)}")
        return f"{play.changed()} changes foreseen, none made"

    def install(self):
        play = self.books.must("site.yml")
        check("NVIDIA driver 535.183.01, 1 × NVIDIA A100-SXM4-40GB" in play.output, "the driver that was found is not named:\n" + play.output)
        agents = self.farm.agents()
        check(sorted(agents) == ["gpu-1", "gpu-2"] and all(a["connected"] for a in agents.values()), f"agents: {agents}")
        check(agents["gpu-1"]["labels"] == ["a100"] and len(agents["gpu-1"]["gpus"]) == 1, f"gpu-1 offers {agents['gpu-1']}")
        return f"{play.changed()} changes"

    def install_again(self):
        play = self.books.must("site.yml")
        check(play.changed() == 0, f"the second run changed {play.changed()} things:\n{play.changes()}")
        return "changed=0"

    def check_after(self):
        play = self.books.must("site.yml", "--check", "--diff")
        check(play.changed() == 0, f"--check foresees {play.changed()} changes where there are none:\n{play.changes()}")
        return "changed=0"

    def by_hand(self):
        """The three commands of config/README.md, on a Debian that has none of what the packages depend on."""
        line = self.farm.furrow(f"enrol new --address {self.controller.address}").stdout.strip()
        began = time.monotonic()
        self.new.ssh("apt update && cd /srv/packages && apt install -y ./furrow-agent_*.deb ./furrow-torch_*.deb")
        installed = time.monotonic()
        self.new.ssh(f"furrow-agent enrol {line}")
        wait_until(lambda: "new" in self.farm.connected(), "the agent installed by hand is not seen")
        return f"installed in {installed - began:.1f} s, seen {time.monotonic() - installed:.1f} s after that"

    # ---- the end ----

    def remove(self):
        play = self.books.play("remove.yml")
        check(play.status != 0 and "furrow_remove=everything" in play.output, "it did not ask whether everything may go:\n" + play.output)
        self.books.must("remove.yml", furrow_remove="everything")

    def nothing_left(self):
        self.controller.ssh("rm -r /srv/git /root/long")  # the repository and the sources were ours
        for name, machine in self.real_three().items():
            now = state_of(machine)
            check(now == self.before[name], f"{name} is not what it was: {difference(self.before[name], now)}")

    def run(self):
        self.step("four machines boot", self.boot)
        self.step("site.yml --check before anything is there", self.check_before)
        self.step("site.yml installs three machines over SSH", self.install)
        self.step("site.yml again", self.install_again)
        self.step("site.yml --check afterwards", self.check_after)
        self.step("an agent by hand on a fresh Debian", self.by_hand)
        jobs.steps(self)
        upgrades.steps(self)
        sources.steps(self)
        bad_inputs.steps(self)
        self.step("remove.yml", self.remove)
        self.step("nothing is left", self.nothing_left)

    def stop(self):
        for machine in self.machines.values():
            machine.stop()


def difference(before, now):
    lines = []
    for kind, had in before.items():
        for mark, things in (("+", now[kind] - had), ("-", had - now[kind])):
            lines += [f"  {kind}: {mark} {thing}" for thing in sorted(things)[:40]]
    return "\n" + "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    for name in ("root", "base", "packages", "next", "fake-nvml"):
        parser.add_argument("--" + name, type=pathlib.Path, required=True)
    parser.add_argument("--example", default="small")
    parser.add_argument("--go-on", action="store_true")
    proof = Proof(parser.parse_args())
    began = time.monotonic()
    try:
        proof.run()
        status = 0 if proof.failures == 0 else 1
    except (Failed, RuntimeError):
        status = 1
    except Exception:  # a mistake of the proof itself
        traceback.print_exc()
        status = 1
    proof.stop()
    print(f"{'proved' if status == 0 else 'NOT proved'} in {time.monotonic() - began:.0f} s", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
