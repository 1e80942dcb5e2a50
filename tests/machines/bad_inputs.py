"""Steps of the proof: what an inventory, or a person, may get wrong. Each gets a clear word, and nothing is half done."""

from farm import check, wait_until


def revoke(proof):
    """A revoked agent is out at once, and stays out after a restart; enrolled again it is back."""
    proof.farm.furrow("keys revoke gpu-2")
    wait_until(lambda: "gpu-2" not in proof.farm.connected(), "gpu-2 is still connected", seconds=5)
    proof.gpu2.ssh("systemctl restart furrow-agent")
    told = proof.gpu2.ssh("furrow-agent doctor", check=False)
    check(told.returncode == 1 and "enrol" in told.stdout, f"doctor on a revoked agent says:\n{told.stdout}{told.stderr}")
    check("gpu-2" not in proof.farm.connected(), "gpu-2 came back after a restart")
    proof.books.must_fail("gpu-2", "has not seen the agent gpu-2.*furrow-agent doctor and.*say: .*enrol", "site.yml", "--limit", "gpu-2", furrow_agent_wait=3)
    proof.books.must("site.yml", "--limit", "gpu-2", furrow_agent_enrol_again=True)
    check("gpu-2" in proof.farm.connected(), "gpu-2 did not come back with a new key")


def with_host(proof, host, **variables):
    """The inventory with other variables for one host, until the returned function is called."""
    group = next(group for group in proof.books.hosts.values() if host in group)
    before = dict(group[host])
    group[host].update(variables)

    def undo():
        group[host] = before
    return undo


def wrong_ssh_port(proof):
    undo = with_host(proof, "gpu-2", ansible_port=2222)
    play = proof.books.must_fail("gpu-2", "Connection refused", "site.yml", "--limit", "gpu-2")
    undo()
    check(play.hosts["gpu-2"]["unreachable"] == 1, "gpu-2 should be unreachable")


def wrong_port(proof):
    undo = with_host(proof, "controller", furrow_controller_enrol_port=7999)
    proof.books.must_fail("gpu-2", "gpu-2 does not reach the controller at 10.77.0.10:7999", "site.yml", "--limit", "gpu-2", furrow_agent_enrol_again=True)
    undo()


def no_route(proof):
    undo = with_host(proof, "controller", furrow_controller_address="203.0.113.9")
    proof.books.must_fail("gpu-2", "gpu-2 does not reach the controller at 203.0.113.9:7073", "site.yml", "--limit", "gpu-2", furrow_agent_enrol_again=True)
    undo()


def no_gpu(proof):
    undo = with_host(proof, "gpu-2", furrow_agent_needs_gpus=2)
    proof.books.must_fail("gpu-2", r"gpu-2 must have 2 GPUs .* and has 0: no NVIDIA GPU on the PCI bus, and no driver", "site.yml", "--limit", "gpu-2")
    undo()


def one_name_twice(proof):
    undo = with_host(proof, "gpu-2", furrow_agent_name="gpu-1")
    proof.books.must_fail("gpu-2", "gpu-2 would be the agent gpu-1, and so would gpu-1", "site.yml", "--limit", "gpu-2")
    undo()


def copied_key(proof):
    """The machine `new` becomes a clone of gpu-1: the same state folder, the same key."""
    proof.new.ssh("systemctl stop furrow-agent")
    copy = proof.gpu1.ssh("tar -C /var/lib/furrow-agent --exclude=./runner* -c . | base64 -w0").stdout
    proof.new.ssh("rm -rf /var/lib/furrow-agent/* && base64 -d | tar -C /var/lib/furrow-agent -x && chown -R furrow-agent: /var/lib/furrow-agent "
                  "&& sed -i 's/^name: .*/name: gpu-1/' /etc/furrow/agent.yaml && systemctl start furrow-agent", stdin=None, input=copy)
    told = wait_until(lambda: proof.new.out("journalctl -u furrow-agent -o cat | grep -i 'copied\\|another machine\\|clone'; true"),
                      lambda: "the clone is not told: " + proof.new.out("journalctl -u furrow-agent -o cat -n 20"))
    agents = proof.farm.agents()
    check(agents["gpu-1"]["connected"] and agents["gpu-1"]["host"] == "gpu-1", f"the true gpu-1 was driven out: {agents['gpu-1']}")
    return told.splitlines()[-1].strip()


def purge_by_hand(proof):
    proof.new.ssh("apt-get purge -y -q furrow-agent furrow-torch")
    left = proof.new.out("ls -d /var/lib/furrow* /etc/furrow* /etc/systemd/system/*furrow* /usr/bin/furrow* 2>/dev/null; getent passwd furrow-agent; "
                         "ps -e -o comm= | grep furrow; true")
    check(left == "", f"left behind: {left}")


def steps(proof):
    proof.step("a revoked agent stays away until it enrols again", lambda: revoke(proof))
    proof.step("wrong SSH port in the inventory", lambda: wrong_ssh_port(proof))
    proof.step("wrong port of the controller", lambda: wrong_port(proof))
    proof.step("no route to the controller", lambda: no_route(proof))
    proof.step("no GPU in the GPU group", lambda: no_gpu(proof))
    proof.step("two machines with one name", lambda: one_name_twice(proof))
    proof.step("a cloned machine with a copied key", lambda: copied_key(proof))
    proof.step("an agent installed by hand is purged", lambda: purge_by_hand(proof))
