#!/usr/bin/python3
"""Measures the native train step against the same TorchScript module trained from Python.

Both train the example's network on the same images, alternately, several times, with as many threads, which
wait without spinning in both: spinning would measure the machine's other load. The second epoch of each is
timed, when everything is warm. Prints one JSON line, {"name", "value", "limit", "ratio", "target", ...}:
value and limit are the medians in images/s of furrow-torch and of Python, ratio the median over the rounds.
Exit status 0 also where the target is missed: the line says so.
"""

import argparse
import gzip
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

BATCH = 64
IMAGES = "train-images-idx3-ubyte.gz"
LABELS = "train-labels-idx1-ubyte.gz"
ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = 0.95


def train_in_python(folder, data, limit):
    """Two epochs as one writes them in Python; prints the images/s of the second."""
    import numpy
    import torch

    def load(name, header, shape):
        raw = gzip.open(os.path.join(data, name)).read()
        return torch.from_numpy(numpy.frombuffer(raw, numpy.uint8, offset=header).reshape(shape)[:limit].copy())

    images = load(IMAGES, 16, (-1, 1, 28, 28)).float() / 255
    labels = load(LABELS, 8, (-1,)).long()
    net = torch.jit.load(os.path.join(folder, "net.pt"))
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    for _ in range(2):
        start = time.monotonic()
        order = torch.randperm(len(images))
        for at in range(0, len(order), BATCH):
            rows = order[at : at + BATCH]
            optimizer.zero_grad()
            loss = torch.nn.functional.nll_loss(net(images[rows]), labels[rows])
            loss.backward()
            optimizer.step()
        rate = len(images) / (time.monotonic() - start)
    print(rate)


def python_rate(folder, data, limit):
    words = [sys.executable, __file__, "--python-trainer", str(folder), "--data", str(data), "--images", str(limit)]
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def native_rate(program, folder, data, limit):
    spec = {
        "model": "net.pt",
        "data": {"format": "idx", "dir": str(data), "images": IMAGES, "labels": LABELS, "limit": limit},
        "loss": "nll",
        "optimizer": {"sgd": {"lr": 0.01, "momentum": 0.9}},
        "epochs": 2,
        "batch": BATCH,
        "out": "trained.pt",
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    metrics = folder / "metrics.jsonl"
    metrics.unlink(missing_ok=True)
    words = [str(program), "train", "--spec", "spec.json"]
    environment = {**os.environ, "FURROW_METRICS": str(metrics)}
    subprocess.run(words, check=True, cwd=folder, stdout=subprocess.DEVNULL, env=environment)
    return json.loads(metrics.read_text().splitlines()[-1])["examples_per_s"]


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build/bin/furrow-torch")
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--images", type=int, default=1280, help="an epoch's")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python-trainer", metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.python_trainer:
        train_in_python(arguments.python_trainer, arguments.data, arguments.images)
        return

    os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    native, python, cpu = [], [], {"native": 0.0, "python": 0.0}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        define = ROOT / "config/examples/fashion-mnist/define_net.py"
        subprocess.run([sys.executable, define, "--out", folder / "net.pt"], check=True, stdout=subprocess.DEVNULL)
        for i in range(arguments.rounds):
            for kind in ("native", "python") if i % 2 == 0 else ("python", "native"):
                before = cpu_seconds()
                if kind == "native":
                    program = arguments.program.resolve()
                    native.append(native_rate(program, folder, arguments.data, arguments.images))
                else:
                    python.append(python_rate(folder, arguments.data, arguments.images))
                cpu[kind] += cpu_seconds() - before
    ratio = statistics.median(n / p for n, p in zip(native, python))
    print(json.dumps({
        "name": "native train",
        "value": round(statistics.median(native), 1),
        "limit": round(statistics.median(python), 1),
        "ratio": round(ratio, 3),
        "target": TARGET,
        "unit": "images/s",
        "cpu_ratio": round(cpu["python"] / cpu["native"], 3),
        "threads": int(os.environ["OMP_NUM_THREADS"]),
        "rounds": arguments.rounds,
    }))


if __name__ == "__main__":
    main()
