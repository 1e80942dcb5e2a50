"""Trains generated modules with furrow-torch and with Python's PyTorch; every number must be the same.

Usage: training_test.py FURROW_TORCH [SEEDS [FIRST]]. Each seed makes one module, one optimizer and one data set; a
failure prints its seed. The suite tries one for each part that modules are made of, `training_test.py
build/bin/furrow-torch 2000` many.
"""

import copy
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

import numpy
import torch
from torch import nn

PROGRAM = ""
SEEDS = 25
FIRST = 1
FEATURES = 6
CLASSES = 4


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


class Scale(nn.Module):
    """Parameters of its own, one of them unused, and a buffer that counts."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(FEATURES) + 0.5)
        self.unused = nn.Parameter(torch.rand(3))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_parameter("nothing", None)

    def forward(self, x):
        self.calls += 1
        if self.training:
            self.mean = self.mean * 0.9 + x.detach().mean(0) * 0.1
        return x * self.weight + self.mean


class Attribute(nn.Module):
    """A tensor that is no parameter, though it requires a gradient: nobody trains it."""

    def __init__(self):
        super().__init__()
        self.shift = torch.rand(FEATURES).requires_grad_()
        self.out = nn.Linear(FEATURES, FEATURES, bias=False)

    def forward(self, x):
        return self.out(x + self.shift)


class Whole(nn.Module):
    """Parameters that are no floating-point numbers."""

    def __init__(self):
        super().__init__()
        self.count = nn.Parameter(torch.arange(FEATURES), requires_grad=False)
        self.mask = nn.Parameter(torch.arange(FEATURES) % 2 == 0, requires_grad=False)
        self.weight = nn.Parameter(torch.rand(FEATURES))

    def forward(self, x):
        return torch.where(self.mask, x * self.weight, x + self.count)


class Wide(nn.Module):
    """A part of the module that computes in another type."""

    def __init__(self, dtype):
        super().__init__()
        self.inner = nn.Linear(FEATURES, FEATURES).to(dtype)

    def forward(self, x):
        return self.inner(x.to(self.inner.weight.dtype)).to(x.dtype)


class Sometimes(nn.Module):
    """A layer that takes part in every other step only."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(FEATURES, FEATURES)
        self.step = 0

    def forward(self, x):
        self.step += 1
        if self.step % 2 == 1:
            x = x + self.layer(x)
        return x


class Listed(nn.Module):
    """The same layer twice in a list, and another one behind a second name."""

    def __init__(self):
        super().__init__()
        layer = nn.Linear(FEATURES, FEATURES)
        self.layers = nn.ModuleList([layer, nn.Linear(FEATURES, FEATURES), layer])
        self.again = self.layers[1]

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.again(x)


class Tied(nn.Module):
    """Encoder and decoder with one weight."""

    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(FEATURES, FEATURES)
        self.decode = nn.Linear(FEATURES, FEATURES, bias=False)
        self.decode.weight = self.encode.weight

    def forward(self, x):
        return self.decode(torch.sigmoid(self.encode(x)))


class TiedNorm(nn.Module):
    """A normalisation with running statistics that is used twice a step."""

    def __init__(self):
        super().__init__()
        self.first = nn.BatchNorm1d(FEATURES)
        self.second = self.first

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


class Image(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, (2, 2), padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.out = nn.Linear(4 * 3 * 4, FEATURES)

    def forward(self, x):
        x = torch.relu(self.norm(self.conv(x.reshape(-1, 1, 2, 3))))
        return self.out(torch.flatten(x, 1))


class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRU(2, 3, batch_first=True)
        self.out = nn.Linear(9, FEATURES)

    def forward(self, x):
        states, _ = self.cell(x.reshape(-1, 3, 2))
        return self.out(torch.flatten(states, 1))


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 4, padding_idx=0)
        self.out = nn.Linear(4 * FEATURES, FEATURES)

    def forward(self, x):
        return x + self.out(torch.flatten(self.table((x.detach().abs() * 3).long().clamp(0, 9)), 1))


PARTS = {
    "linear": lambda: nn.Linear(FEATURES, FEATURES),
    "batch norm": lambda: nn.BatchNorm1d(FEATURES),
    "batch norm without statistics": lambda: nn.BatchNorm1d(FEATURES, track_running_stats=False),
    "batch norm with cumulative mean": lambda: nn.BatchNorm1d(FEATURES, momentum=None),
    "layer norm": lambda: nn.LayerNorm(FEATURES),
    "group norm": lambda: nn.GroupNorm(2, FEATURES),
    "dropout": lambda: nn.Dropout(0.3),
    "prelu": nn.PReLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "hardtanh": nn.Hardtanh,
    "softplus": nn.Softplus,
    "residual": lambda: Residual(nn.Sequential(nn.Linear(FEATURES, FEATURES), nn.ReLU(), nn.Dropout(0.1))),
    "scale": Scale,
    "attribute": Attribute,
    "whole numbers": Whole,
    "float64 part": lambda: Wide(torch.float64),
    "bfloat16 part": lambda: Wide(torch.bfloat16),
    "sometimes": Sometimes,
    "listed": Listed,
    "tied": Tied,
    "tied norm": TiedNorm,
    "image": Image,
    "sequence": Sequence,
    "tokens": Tokens,
}
# What cannot be traced without changing what it means, or is of one type whatever the module is.
UNTRACEABLE = {"attribute", "sometimes", "scale", "batch norm with cumulative mean"}

NARROW = {"linear", "batch norm", "layer norm", "dropout", "residual", "scale", "tied", "listed", "sometimes"}


def make_module(choose, first):
    """A TorchScript module with the part `first`; what trains in Python for it; the type of its inputs, its loss, and itself in words."""
    names = [first] + choose.sample(sorted(set(PARTS) - {first}), choose.randint(0, 3))
    choose.shuffle(names)
    if not any(name in ("linear", "tied", "listed", "residual", "image", "sequence") for name in names):
        names.append("linear")
    outputs = CLASSES
    net = nn.Sequential(*[PARTS[name]() for name in names], nn.Linear(FEATURES, outputs))
    how = choose.choice(["script", "script", "trace", "trace in evaluation mode"])
    if UNTRACEABLE & set(names) and how != "script":
        how = "script"
    loss = choose.choice(["cross_entropy", "nll", "mse"])
    if loss == "nll":
        net.add_module("logs", nn.LogSoftmax(dim=1))
    dtype = choose.choice([torch.float32] * 4 + [torch.float64, torch.bfloat16])
    if any(name.endswith(" part") for name in names):
        dtype = torch.float32
    if dtype == torch.bfloat16 and (loss == "mse" or not NARROW.issuperset(names)):
        dtype = torch.float64  # PyTorch's CPU computes less in bfloat16 than in others
    net = net.to(dtype)
    frozen = [name for name, _ in net.named_parameters() if choose.random() < 0.15]
    for name, parameter in net.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in net.parameters()):
        net[len(net) - 1 if loss != "nll" else len(net) - 2].weight.requires_grad_(True)
    if choose.random() < 0.3:
        for part in net.modules():
            part.train(choose.random() < 0.5)
    example = torch.zeros(3, FEATURES, dtype=dtype)
    plain = copy.deepcopy(net)
    if how == "trace":
        plain = net = torch.jit.trace(net, example, check_trace=False)
    elif how == "trace in evaluation mode":
        plain = net = torch.jit.trace(net.eval(), example, check_trace=False)
    else:
        net = torch.jit.script(net)
    return net, plain, dtype, loss, f"{how} of {', '.join(names)} as {dtype}, loss {loss}, frozen {frozen}"


def make_optimizer(choose):
    """The step's mapping, and Python's optimizer for it."""
    name = choose.choice(["sgd", "sgd", "adam", "adamw"])
    values = {"lr": choose.choice([0.1, 0.01, 0.003])}
    if name == "sgd":
        if choose.random() < 0.6:
            values["momentum"] = choose.choice([0.9, 0.5])
            if choose.random() < 0.4:
                values["nesterov"] = True
            elif choose.random() < 0.4:
                values["dampening"] = 0.1
    else:
        if choose.random() < 0.4:
            values["betas"] = [0.8, 0.95]
        if choose.random() < 0.3:
            values["eps"] = 1e-6
        if choose.random() < 0.4:
            values["amsgrad"] = True
    if choose.random() < 0.4:
        values["weight_decay"] = choose.choice([0.01, 0.1])
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
    return {name: values}, lambda parameters: kind(parameters, **values)


def train_in_python(net, inputs, labels, spec, make):
    """Trains as one writes it in Python; the module is left in the mode of training."""
    torch.manual_seed(spec["seed"])
    net.train()
    optimizer = make(net.parameters())
    losses = {"cross_entropy": nn.functional.cross_entropy, "nll": nn.functional.nll_loss, "mse": nn.functional.mse_loss}
    data = torch.utils.data.TensorDataset(inputs, labels)
    batches = torch.utils.data.DataLoader(data, spec["batch"], drop_last=spec["drop_last"], generator=torch.Generator())
    # With its optimiser TorchScript computes some gradients (of tanh, for example) in another order than the module does.
    with torch.jit.optimized_execution(False):
        for _ in range(spec["epochs"]):
            for part, wanted in batches:
                optimizer.zero_grad()
                losses[spec["loss"]](net(part), wanted).backward()
                optimizer.step()


def differences(one, other):
    """What is not the same in two modules: values, types, gradients asked for."""
    found = []
    for kind in ("named_parameters", "named_buffers"):
        left, right = dict(getattr(one, kind)()), dict(getattr(other, kind)())
        if list(left) != list(right):
            found.append(f"{kind}: {list(left)} and {list(right)}")
            continue
        for name in left:
            a, b = left[name].detach(), right[name].detach()
            if a.dtype != b.dtype or left[name].requires_grad != right[name].requires_grad:
                found.append(f"{name}: {a.dtype} and {b.dtype}")
            elif not torch.equal(a, b):
                found.append(f"{name} by {(a.double() - b.double()).abs().max().item():g}")
    return found


class Training(unittest.TestCase):
    def train(self, folder, spec):
        (folder / "spec.json").write_text(json.dumps(spec))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        return subprocess.run([PROGRAM, "train", "--spec", "spec.json"], cwd=folder, env=environment, capture_output=True,
                              text=True, timeout=120)

    def one(self, seed, folder):
        choose = random.Random(seed)
        torch.manual_seed(seed)
        net, plain, dtype, loss, words = make_module(choose, sorted(PARTS)[seed % len(PARTS)])
        net.save(str(folder / "net.pt"))
        modes = [part.training for part in net.modules()]
        optimizer, make = make_optimizer(choose)
        values = numpy.random.default_rng(seed)
        count = choose.randint(20, 40)
        x = values.normal(size=(count, FEATURES)).astype(choose.choice([numpy.float32, numpy.float64]))
        y = values.integers(0, CLASSES, count)
        if loss == "mse":
            y = values.normal(size=(count, CLASSES))
        numpy.save(folder / "x.npy", x)
        numpy.save(folder / "y.npy", y)
        spec = {"model": "net.pt", "data": {"format": "npy", "inputs": "x.npy", "labels": "y.npy"}, "loss": loss,
                "optimizer": optimizer, "epochs": choose.randint(1, 3), "batch": choose.randint(4, 9), "out": "out.pt",
                "shuffle": False, "seed": seed, "log_every": 0}
        spec["drop_last"] = count % spec["batch"] == 1 or choose.random() < 0.3
        inputs = torch.from_numpy(x).to(dtype)
        labels = torch.from_numpy(y).to(dtype) if loss == "mse" else torch.from_numpy(y).long()
        train_in_python(plain, inputs, labels, spec, make)
        with self.subTest(f"seed {seed}: {words}; {optimizer}"):
            done = self.train(folder, spec)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            out = torch.jit.load(str(folder / "out.pt"))
            self.assertEqual(differences(plain, out), [])
            self.assertEqual([part.training for part in out.modules()], modes)

    def test_generated_modules_train_as_in_python(self):
        torch.set_num_threads(1)
        for seed in range(FIRST, FIRST + SEEDS):
            with tempfile.TemporaryDirectory(prefix="furrow-torch-") as folder:
                self.one(seed, pathlib.Path(folder))


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    if len(sys.argv) > 1:
        SEEDS = int(sys.argv.pop(1))
    if len(sys.argv) > 1:
        FIRST = int(sys.argv.pop(1))
    unittest.main()
