"""Steps of the proof: all machines get the next version while a long job runs, and one of them runs out of disk."""

import jobs
from farm import check, wait_until


def versions(proof):
    return {name: agent["software"].split()[1] for name, agent in proof.farm.agents().items() if agent["connected"]}


def installed(machine, package="furrow-agent"):
    return machine.out(f"dpkg-query -W -f '${{db:Status-Abbrev}}${{Version}}' {package}")


def fill(machine, leave_mib):
    """Fills the machine's disk up to so much free space."""
    machine.ssh(f"fallocate -l $(( $(df --output=avail -k / | tail -1) - {leave_mib} * 1024 ))K /var/tmp/fill")


def too_full(proof):
    """Said before anything is touched."""
    fill(proof.gpu2, 200)
    try:
        proof.books.must_fail("gpu-2", r"gpu-2 has too little space: \d+ MiB free below /;.*Nothing was changed",
                              "upgrade.yml", "--limit", "gpu-2", furrow_packages_path=str(proof.next))
    finally:
        proof.gpu2.ssh("rm /var/tmp/fill")
    check(installed(proof.gpu2) == f"ii {proof.version}", f"gpu-2 has {installed(proof.gpu2)}")


def full_half_way(proof):
    """The disk fills up when dpkg begins to unpack: a hook of apt, which runs in that moment, takes the rest."""
    proof.gpu2.ssh("cat >/etc/apt/apt.conf.d/fill", stdin=None, input=(
        'DPkg::Pre-Invoke { "[ -e /var/tmp/fill ] || fallocate -l $(( $(df --output=avail -k / | tail -1) - 2300 ))K /var/tmp/fill"; };\n'))
    try:
        proof.books.must_fail("gpu-2", f"gpu-2: the packages could not be installed.*No space left.*from before is installed and runs.*{proof.version}",
                              "upgrade.yml", furrow_packages_path=str(proof.next), furrow_upgrade_serial=1)
    finally:
        proof.gpu2.ssh("rm -f /var/tmp/fill /etc/apt/apt.conf.d/fill")
    wait_until(lambda: versions(proof) == {"gpu-1": proof.next_version, "gpu-2": proof.version, "new": proof.version},
               lambda: f"versions seen by the controller: {versions(proof)}")
    for package in ("furrow-agent", "furrow-torch"):
        check(installed(proof.gpu2, package) == f"ii {proof.version}", f"gpu-2 has {package} {installed(proof.gpu2, package)}")
    check(proof.version in proof.gpu2.out("furrow-agent --version"), "gpu-2 has the program of the next version")
    check(proof.gpu2.out("dpkg --audit; find / -xdev -name '*.dpkg-new' -o -xdev -name '*.dpkg-tmp'") == "", "gpu-2 has something half installed")
    return f"controller and gpu-1 {proof.next_version}, gpu-2 {proof.version} beside them"


def upgrade(proof):
    proof.books.vars["furrow_packages_path"] = str(proof.next)
    proof.books.must("upgrade.yml", furrow_upgrade_serial=1)
    wait_until(lambda: versions(proof) == {"gpu-1": proof.next_version, "gpu-2": proof.next_version, "new": proof.version},
               lambda: f"versions seen by the controller: {versions(proof)}")
    check(installed(proof.controller, "furrow-controller") == f"ii {proof.next_version}", "the controller has the old version")


def upgrade_again(proof):
    play = proof.books.must("upgrade.yml")
    check(play.changed() == 0, f"a second upgrade changed {play.changed()} things:\n{play.changes()}")
    return "changed=0"


def drain_first(proof):
    """Back to the old version, which is an upgrade like any other, when the machine has finished its jobs."""
    proof.farm.furrow("drain gpu-1")
    jobs.start_long_job(proof, number=2)
    proof.farm.furrow("resume gpu-1")
    with proof.books.background("upgrade.yml", "--limit", "gpu-2", furrow_upgrade_jobs="drain", furrow_packages_path=str(proof.packages)) as play:
        wait_until(lambda: proof.farm.agents()["gpu-2"]["drained"] or play.ended(), "gpu-2 is not drained")
        check(not play.ended(), "the upgrade did not wait for the jobs")
        check(versions(proof)["gpu-2"] == proof.next_version, "gpu-2 was upgraded under its jobs")
        jobs.finish_long_job(proof, number=2)
    check(play.status == 0, f"the upgrade failed:\n{play.output}")
    check(versions(proof)["gpu-2"] == proof.version, f"versions seen by the controller: {versions(proof)}")
    check(not proof.farm.agents()["gpu-2"]["drained"], "gpu-2 gets no jobs afterwards")


def steps(proof):
    proof.step("a long job starts on two machines", lambda: jobs.start_long_job(proof))
    proof.step("an upgrade of a machine whose disk is too full is refused", lambda: too_full(proof))
    proof.step("a disk that is full half way stops the upgrade and leaves the old version", lambda: full_half_way(proof))
    proof.step("upgrade.yml, one machine at a time", lambda: upgrade(proof))
    proof.step("the long job went through it all", lambda: jobs.finish_long_job(proof))
    proof.step("upgrade.yml again", lambda: upgrade_again(proof))
    proof.step("upgrade.yml waits for the jobs of a machine that is drained", lambda: drain_first(proof))
