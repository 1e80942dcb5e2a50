"""Steps of the proof: work for the farm, and what happens to it."""

import re
import shutil

from farm import check, wait_until
from machine import FOLDER, run

# Prints numbered lines as fast as a long training might, until the file /var/tmp/enough is there.
LONG = r"""
name: long
jobs:
  count:
    shards: 2
    resources: { cpus: 0.5 }
    steps:
      - run: |
          i=0
          while ! [ -e /var/tmp/enough ]; do i=$((i + 1)); echo "line $i"; sleep 0.02; done
          echo "counted to $i"
"""


def push_example(proof):
    """The example, pushed from the administrator's place to a bare repository on the controller's machine."""
    proof.controller.ssh("git init -q --bare -b main /srv/git/fashion-mnist.git && furrow hook install /srv/git/fashion-mnist.git")
    work = FOLDER / "work"
    shutil.copytree(proof.root / "config/examples/fashion-mnist", work)
    if proof.example == "small":
        text = (work / "furrow.yaml").read_text()
        smaller = text.replace("limit: 12000", "limit: 5000").replace("lr: 0.01", "lr: 0.02").replace(">= 0.75", ">= 0.7")
        smaller = re.sub(r"(labels: t10k-\S+\n)", r"\1            limit: 2000\n", smaller)
        check(smaller.count("limit: ") == 2, "the example has changed: make it smaller in another way")
        (work / "furrow.yaml").write_text(smaller)
    git = ["git", "-C", work, "-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    run(*git, "init", "-q", "-b", "main")
    run(*git, "add", ".")
    run(*git, "commit", "-q", "-m", "Fashion-MNIST")
    ssh = "ssh " + " ".join(proof.key.options)
    run(*git, "-c", f"core.sshCommand={ssh}", "push", "-q", f"root@{proof.controller.address}:/srv/git/fashion-mnist.git", "main")
    shown = proof.farm.furrow("show fashion-mnist#1 -f", check=False)
    check(shown.returncode == 0, f"the example's run did not pass:\n{shown.stdout}{shown.stderr}")
    agents = {job["agent"] for job in proof.farm.ask("show fashion-mnist#1")["jobs"]}
    check(agents == {"gpu-1", "gpu-2"}, f"its jobs ran on {sorted(agents)}")
    return f"jobs on {', '.join(sorted(agents))}"


def start_long_job(proof, number=1):
    proof.controller.ssh("mkdir -p /root/long && cat >/root/long/furrow.yaml", stdin=None, input=LONG)
    proof.farm.furrow("run /root/long --detach")
    wait_until(lambda: all(job["state"] == "running" for job in proof.farm.ask(f"show long#{number}")["jobs"]), "the long job does not start")


def finish_long_job(proof, number=1):
    """It must have run once, through everything, and its logs must be whole."""
    jobs = proof.farm.ask(f"show long#{number}")["jobs"]
    check(all(job["state"] == "running" for job in jobs), f"the long job did not run on: {jobs}")
    for name in ("gpu-1", "gpu-2", "new"):
        proof.machines[name].ssh("touch /var/tmp/enough")
    shown = proof.farm.furrow(f"show long#{number} -f", check=False)
    check(shown.returncode == 0, f"the long job did not pass:\n{shown.stdout}{shown.stderr}")
    notes = []
    for job in proof.farm.ask(f"show long#{number}")["jobs"]:
        check(job["attempt"] == 1, f"shard {job['shard']} ran {job['attempt']} times")
        log = proof.farm.furrow(f"logs long#{number}/count/{job['shard']}").stdout.splitlines()
        total = int(log[-1].rsplit(" ", 1)[1])
        check(log[:-1] == [f"line {i}" for i in range(1, total + 1)], f"the log of shard {job['shard']} is not whole: {log[:3]} … {log[-3:]}")
        notes.append(f"{total} lines on {job['agent']}")
    for name in ("gpu-1", "gpu-2", "new"):
        proof.machines[name].ssh("rm /var/tmp/enough")
    return "once, " + ", ".join(notes)


def drain(proof):
    """From here on the machine installed by hand, which has no data sets, gets no jobs."""
    told = proof.farm.furrow("drain new").stdout.strip()
    check(proof.farm.agents()["new"]["drained"], "new is not drained")
    return told


def steps(proof):
    proof.step("an agent is drained", lambda: drain(proof))
    proof.step("the example, pushed to a repository on the controller, passes on both agents", lambda: push_example(proof))
