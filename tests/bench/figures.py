"""The figures that Furrow promises, each beside its limit, taken in turns within the same run."""

import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

import bench_limits as limits
from bench_farm import BenchError, Farm, cpu_seconds, process_memory

ROOT = pathlib.Path(__file__).resolve().parents[2]
SETTLED = 2.5  # seconds after which a file's stamps prove that it has not changed


@dataclass
class Row:
    name: str  # the figure's, as in --only
    what: str
    value: float
    unit: str
    target: str
    met: bool
    limit: float | None = None
    limit_is: str = ""
    ratio: float | None = None
    why: str = ""
    samples: list = field(default_factory=list)


@dataclass
class Bench:
    """What every figure gets: where the programs are, a folder for its files, how much to do."""

    programs: pathlib.Path
    folder: pathlib.Path
    quick: bool

    def run(self, program, *words):
        """Runs one of our measuring programs; its JSON lines."""
        result = subprocess.run([self.programs / program, *map(str, words)], capture_output=True, text=True)
        if result.returncode != 0:
            raise BenchError(f"{program} {words[0]} failed: {result.stderr.strip()}")
        return [json.loads(line) for line in result.stdout.splitlines()]

    def seconds(self, program, *words):
        return [line["seconds"] for line in self.run(program, *words)]

    def say(self, text):
        print(f"  {text}", file=sys.stderr, flush=True)


def median(values):
    return statistics.median(values)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


# ---- 10,000 jobs -------------------------------------------------------------------------------------------


def jobs(bench):
    count, bare_count, rounds = (1000, 1000, 2) if bench.quick else (10000, 4000, 3)
    pipeline = bench.folder / "many.yaml"
    pipeline.write_text(f"name: many\njobs:\n  many:\n    shards: {count}\n    steps:\n      - exec: [/bin/true]\n")
    with Farm(bench.programs, bench.folder / "jobs") as farm:
        bare = [bare_count / bench.seconds("spawn_bench", bare_count)[0]]
        rates, ratios, costs = [], [], []
        for _ in range(rounds):
            before = farm.cpu()
            rates.append(count / bench.seconds("farm_bench", "run", farm.state, pipeline)[0])
            costs.append({name: (cpu - before[name]) / count * 1e6 for name, cpu in farm.cpu().items()})
            bare.append(bare_count / bench.seconds("spawn_bench", bare_count)[0])
            ratios.append(rates[-1] / statistics.mean(bare[-2:]))
            bench.say(f"{rates[-1]:.0f} jobs/s, bare {bare[-1]:.0f}; CPU µs a job: {costs[-1]}")
    cost = {name: median([one[name] for one in costs]) for name in costs[0]}
    used = ", ".join(f"{name} {value:.0f}" for name, value in cost.items())
    why = f"CPU µs a job beside /bin/true itself: {used}; a bare process takes {os.cpu_count() / median(bare) * 1e6:.0f}"
    ratio = median(ratios)
    return [
        Row("jobs", f"one run of {count} jobs, two at a time", median(rates), "jobs/s", "≥ 0.5", ratio >= 0.5,
            median(bare), "posix_spawn + wait, two at a time", ratio, why, rates),
    ]  # fmt: skip


# ---- latency -----------------------------------------------------------------------------------------------


def latency(bench):
    count, parts = (100, 2) if bench.quick else (600, 3)
    with Farm(bench.programs, bench.folder / "latency") as farm:
        bench.seconds("farm_bench", "latency", farm.state, 20)  # warm
        samples, syncs = [], bench.seconds("farm_bench", "fsync", farm.state, 100)
        for _ in range(parts):
            samples += bench.seconds("farm_bench", "latency", farm.state, count // parts)
            syncs += bench.seconds("farm_bench", "fsync", farm.state, 100)
    ms = [seconds * 1000 for seconds in samples]
    sync = median(syncs) * 1000
    sync99 = percentile(syncs, 0.99) * 1000
    rows = []
    for share, target, one_sync in ((0.5, 3, sync), (0.99, 10, sync99)):
        value = percentile(ms, share)
        rows.append(
            Row("latency", f"submit → finished and durable, one job, p{share * 100:.0f}", value, "ms", f"≤ {target} ms",
                value <= target, 2 * one_sync, "two fdatasyncs of 4 KiB in the same folder", value / (2 * one_sync),
                f"two commits one after the other, {one_sync:.2f} ms each for the disk alone", ms)
        )  # fmt: skip
    return rows


# ---- push → first line -------------------------------------------------------------------------------------

PUSHED = """name: pushed
on: { push: { branches: [main] } }
jobs:
  first:
    steps:
      - run: echo the first line; sleep 0.2
"""


def push(bench):
    count = 5 if bench.quick else 25
    folder = bench.folder / "push"
    folder.mkdir()
    os.environ.update({
        "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "bench",
        "GIT_AUTHOR_EMAIL": "bench@localhost", "GIT_COMMITTER_NAME": "bench", "GIT_COMMITTER_EMAIL": "bench@localhost",
    })  # fmt: skip
    with Farm(bench.programs, folder / "farm") as farm:
        bare, clone = folder / "pushed.git", folder / "clone"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", bare], check=True)
        subprocess.run(["git", "init", "-q", "-b", "main", clone], check=True)
        subprocess.run(["git", "-C", clone, "remote", "add", "origin", bare], check=True)
        for file in (ROOT / "config/examples/fashion-mnist").iterdir():
            if file.is_file():
                shutil.copy(file, clone)
        (clone / "furrow.yaml").write_text(PUSHED)
        words = [bench.programs / "furrow", "--state", farm.state, "hook", "install", bare]
        hook = subprocess.run(words, capture_output=True, text=True)
        if hook.returncode != 0:
            raise BenchError(f"furrow hook install failed: {hook.stderr}")
        lines = bench.run("farm_bench", "push", farm.state, clone, count)
    ms = [line["seconds"] * 1000 for line in lines]
    pushes = median([line["push"] for line in lines]) * 1000
    return [
        Row("push", "git push returns → first log line, p50", median(ms), "ms", "≤ 150 ms", median(ms) <= 150,
            why=f"the push itself, hook included: {pushes:.0f} ms", samples=ms),
    ]  # fmt: skip


# ---- a log of a gigabyte -----------------------------------------------------------------------------------


def log(bench):
    size, rounds = (256 << 20, 1) if bench.quick else (1 << 30, 3)
    folder = bench.folder / "log"
    folder.mkdir()
    text, target = folder / "text", folder / "by-ssh"
    limits.write_log_text(text, size)
    pipeline = folder / "furrow.yaml"
    pipeline.write_text(f"name: talk\njobs:\n  talk:\n    steps:\n      - exec: [cat, {json.dumps(str(text))}]\n")
    with limits.Sshd(folder / "ssh") as ssh, Farm(bench.programs, folder / "farm") as farm:
        by_farm, by_ssh, costs = [], [], []
        for _ in range(rounds):
            limits.warm_memory(2 * size)
            by_ssh.append(ssh.pipe(text, target))
            target.unlink()
            limits.warm_memory(2 * size)
            before = farm.cpu()
            by_farm.append(bench.seconds("farm_bench", "run", farm.state, pipeline)[0])
            costs.append({name: cpu - before[name] for name, cpu in farm.cpu().items()})
            bench.say(f"log {by_farm[-1]:.2f} s, ssh {by_ssh[-1]:.2f} s; CPU s: {costs[-1]}")
    cost = ", ".join(f"{name} {median([one[name] for one in costs]):.2f}" for name in costs[0])
    ratio = median([a / b for a, b in zip(by_farm, by_ssh)])
    return [
        Row("log", f"a job prints {size >> 20} MiB → sealed, run finished", median(by_farm), "s", "≤ 1.0 ×", ratio <= 1,
            median(by_ssh), "cat | ssh localhost 'cat > file && sync file'", ratio, f"CPU s: {cost}", by_farm),
    ]  # fmt: skip


# ---- an artifact of a gigabyte -----------------------------------------------------------------------------


class Uploads:
    """The agent's uploader in a process of its own, told to bring a folder again and again."""

    def __init__(self, bench, state, folder, scratch):
        scratch.mkdir()
        words = [bench.programs / "farm_bench", "artifact", state, folder, scratch]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def bring(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise BenchError("farm_bench artifact ended; its message is above")
        return json.loads(line)["seconds"]


def settle(path):
    time.sleep(max(0, os.stat(path).st_mtime + SETTLED - time.time()))


def artifact(bench):
    size, rounds = (256 << 20, 1) if bench.quick else (1 << 30, 3)
    folder = bench.folder / "artifact"
    work = folder / "work"
    work.mkdir(parents=True)
    file, target = work / "model.pt", folder / "by-ssh"
    up, pipe, changed, rsync, same, costs = [], [], [], [], [], []
    with limits.Sshd(folder / "ssh") as ssh, Farm(bench.programs, folder / "farm") as farm:
        with Uploads(bench, farm.state, work, folder / "scratch") as uploads:
            for _ in range(rounds):
                limits.write_random(file, size)
                settle(file)
                limits.warm_memory(2 * size)
                pipe.append(ssh.pipe(file, target))
                limits.warm_memory(2 * size)
                before = farm.cpu()["controller"], cpu_seconds(uploads.process.pid)
                up.append(uploads.bring())
                costs.append((farm.cpu()["controller"] - before[0], cpu_seconds(uploads.process.pid) - before[1]))
                same.append(uploads.bring())
                limits.change_one_byte(file)
                changed.append(uploads.bring())
                rsync.append(ssh.rsync(file, target))
                bench.say(f"up {up[-1]:.2f} s, ssh {pipe[-1]:.2f} s; one byte {changed[-1]:.2f} s, rsync "
                          f"{rsync[-1]:.2f} s; unchanged {same[-1]:.4f} s")  # fmt: skip
    up_ratio = median([a / b for a, b in zip(up, pipe)])
    changed_ratio = median([a / b for a, b in zip(changed, rsync)])
    how = "the agent's uploader: scan, query, send, commit"
    cost = ", ".join(f"{name} {median([one[i] for one in costs]):.2f}" for i, name in enumerate(("controller", "uploader")))
    return [
        Row("artifact", f"artifact of {size >> 20} MiB random bytes → durable", median(up), "s", "≤ 1.0 ×", up_ratio <= 1,
            median(pipe), "cat | ssh localhost 'cat > file && sync file'", up_ratio, f"{how}; CPU s: {cost}", up),
        Row("artifact", "… again after changing one byte", median(changed), "s", "≤ 0.5 ×", changed_ratio <= 0.5,
            median(rsync), "rsync -tI -e ssh of the same change", changed_ratio, how, changed),
        Row("artifact", "… again unchanged", median(same), "s", "≤ 0.2 s", median(same) <= 0.2, why=how, samples=same),
    ]  # fmt: skip


# ---- training, memory, start, build ------------------------------------------------------------------------


def train(bench):
    words = [sys.executable, ROOT / "tests/bench/train_vs_python.py", "--program", bench.programs / "furrow-torch"]
    if bench.quick:
        words += ["--rounds", "1"]
    result = subprocess.run(words, capture_output=True, text=True)
    if result.returncode != 0:
        raise BenchError(f"train_vs_python.py failed: {result.stderr[-1000:]}")
    one = json.loads(result.stdout.splitlines()[-1])
    return [
        Row("train", "native train step", one["value"], one["unit"], f"≥ {one['target']}", one["ratio"] >= one["target"],
            one["limit"], "the same TorchScript module trained from Python", one["ratio"]),
    ]  # fmt: skip


def memory(bench):
    with Farm(bench.programs, bench.folder / "memory") as farm:
        time.sleep(3)
        sizes = {name: process_memory(pid) for name, pid in farm.pids.items()}
    rows = []
    for name, target in (("controller", 60), ("agent", 30)):
        rss, pss = (sizes[name][kind] / 2**20 for kind in ("rss", "pss"))
        why = f"PSS {pss:.1f} MiB"
        if name == "agent" and "runner" in sizes:
            why += f"; its furrow-runner beside it {sizes['runner']['rss'] / 2**20:.1f} MiB"
        rows.append(Row("memory", f"RSS of the {name} after 3 s idle", rss, "MiB", f"≤ {target} MiB", rss <= target, why=why))
    return rows


def turn(bench):
    agents, runs, shards = (1000, 200, 10000) if bench.quick else (10000, 2000, 100000)
    one = bench.run("turn_bench", agents, runs, shards)[0]
    what = f"{agents:,} agents, {runs:,} runs, {one['ready']:,} shards that wait"
    bench.say(f"{what}, with {one['needs']} different needs")
    rows = [
        Row("turn", f"a whole plan; {what}", one["full_plan_ms"], "ms", "≤ 50 ms", one["full_plan_ms"] <= 50,
            why=f"with what follows from its 4,096 assignments {one['full_turn_ms']:.1f} ms"),
    ]  # fmt: skip
    for key, words, target in (
        ("event_heartbeat_ms", "a Heartbeat and the turn's end", 1), ("event_finished_ms", "a Finished and the turn's end", 1),
        ("event_register_ms", "a Register and the turn's end", 1), ("runs_ms", "the answer to runs, of 1,000", 50),
        ("show_ms", "the answer to show", 50), ("why_ms", "the answer to why", 50),
        ("agents_ms", "the answer to agents, a page of 1,000", 50), ("tick_ms", "a tick", 50),
    ):  # fmt: skip
        rows.append(Row("turn", f"{words}, p99", one[key], "ms", f"≤ {target} ms", one[key] <= target))
    rows.append(Row("turn", "RSS of all that", one["rss_mib"], "MiB", "≤ 1024 MiB", one["rss_mib"] <= 1024))
    return rows


def up(bench):
    samples = []
    for i in range(2 if bench.quick else 7):
        words = [bench.programs / "furrow", "--state", bench.folder / f"up-{i}", "up", "--port", "0"]
        begin = time.monotonic()
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = process.stdout.readline()
        while line and not line.startswith("furrow: ready"):
            line = process.stdout.readline()
        samples.append(time.monotonic() - begin)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        if not line:
            raise BenchError("furrow up ended before it was ready")
    value = median(samples)
    return [Row("up", "furrow up, new folder: spawn → ready", value, "s", "≤ 0.5 s", value <= 0.5, samples=samples)]


def build(bench):
    folder = bench.folder / "build"
    env = {**os.environ, "CCACHE_DISABLE": "1"}
    begin = time.monotonic()
    for words in (["cmake", "-S", ROOT, "-B", folder, "-G", "Ninja"], ["ninja", "-C", folder]):
        result = subprocess.run(words, env=env, capture_output=True, text=True)
        if result.returncode != 0:
            raise BenchError(f"{words[0]} failed: {result.stdout[-2000:]}")
    minutes = (time.monotonic() - begin) / 60
    return [Row("build", f"clean build on {os.cpu_count()} cores", minutes, "min", "≤ 8 min", minutes <= 8)]


FIGURES = {
    "jobs": jobs, "latency": latency, "push": push, "log": log, "artifact": artifact, "train": train,
    "memory": memory, "turn": turn, "up": up, "build": build,
}  # fmt: skip
