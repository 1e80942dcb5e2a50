"""Runs furrow-torch as a job would: tiny modules and data, every kind of bad input. Usage: program_test.py FURROW_TORCH"""

import gzip
import json
import math
import os
import pathlib
import resource
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile

import numpy
import torch
from torch import nn
from typing import Dict

PROGRAM = ""


class Classifier(nn.Module):
    """[N, 1, 4, 4] → [N, 3] log-probabilities."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.out = nn.Linear(16, 3)

    def forward(self, x):
        return torch.log_softmax(self.out(torch.flatten(torch.relu(self.conv(x)), 1)), dim=1)


class Complex(nn.Module):
    """A module with a parameter that is no floating-point number."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2, dtype=torch.complex64))

    def forward(self, x):
        return (x * self.scale).real


class Several(nn.Module):
    """A module that returns something else than one tensor."""

    def __init__(self, what: str):
        super().__init__()
        self.out = nn.Linear(2, 2)
        self.what = what

    def forward(self, x):
        return self.out(x), x


class Named(Several):
    def forward(self, x) -> Dict[str, torch.Tensor]:
        return {"logits": self.out(x)}


class Listed(Several):
    def forward(self, x):
        return [self.out(x)]


class Raises(nn.Module):
    """A module that refuses what it is given, in one of several ways."""

    def __init__(self, way: int):
        super().__init__()
        self.out = nn.Linear(16, 3)
        self.way = way

    def forward(self, x):
        if self.way == 0:
            raise ValueError("wants [B, 3], not " + str(x.size()))
        if self.way == 1:
            raise NotImplementedError("two\nlines")
        if self.way == 2:
            raise RuntimeError("RuntimeError: twice")
        if self.way == 3:
            raise IndexError
        if self.way == 4:
            assert x.size(0) == 0, "must be empty"
        if self.way == 5:
            assert x.size(0) == 0
        return self.out(x.view(5, -1))


class Bare(nn.Module):
    """A normalisation over the batch that can be of one example only where each has several values."""

    def __init__(self, kind: str):
        super().__init__()
        self.norm = nn.BatchNorm1d(16) if kind == "batch" else nn.Identity()
        self.conv = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)) if kind == "image" else nn.Identity()
        self.out = nn.Linear(8 if kind == "image" else 16, 3)

    def forward(self, x):
        return self.out(self.norm(torch.flatten(self.conv(x), 1)))


class Squeezed(nn.Module):
    """A module that forgets the batch when it has one example."""

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(16, 3)

    def forward(self, x):
        return self.out(torch.flatten(x, 1)).squeeze(0)


class Embedded(nn.Module):
    def __init__(self, long: bool = False):
        super().__init__()
        self.long = long
        self.table = nn.Embedding(2 if long else 256, 2)

    def forward(self, x):
        return self.table(x.long() if self.long else x).mean(1)


class Fails(nn.Module):
    """A module that fails for a reason that no other shape would mend."""

    def __init__(self, way: str):
        super().__init__()
        self.way = way
        self.out = nn.Linear(4, 3)

    def forward(self, x):
        if self.way == "index":
            return x * [1.0, 2.0][x.size(0)]
        if self.way == "own":
            raise ValueError("the moon is full")
        if self.way == "singular":
            return self.out(torch.linalg.inv(x * 0))
        return torch.bernoulli(self.out(x) + 5)


def idx(array):
    return struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


class Steps(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="furrow-torch-")
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        torch.manual_seed(1)
        self.save(Classifier(), "net.pt")
        # Class k lights row k.
        random = numpy.random.default_rng(1)
        self.labels = random.integers(0, 3, 90).astype(numpy.uint8)
        self.images = random.integers(0, 60, (90, 4, 4)).astype(numpy.uint8)
        self.images[numpy.arange(90), self.labels] += 150
        (self.folder / "images.gz").write_bytes(gzip.compress(idx(self.images)))
        (self.folder / "labels").write_bytes(idx(self.labels))
        self.data = {"format": "idx", "images": "images.gz", "labels": "labels"}

    def save(self, module, name):
        torch.jit.script(module).save(str(self.folder / name))

    def train_spec(self, **changes):
        spec = {"model": "net.pt", "data": self.data, "loss": "nll", "optimizer": {"adam": {"lr": 0.02}},
                "epochs": 8, "batch": 16, "out": "out.pt", "log_every": 10}
        return {**spec, **changes}

    def run_step(self, verb, spec, env=None, **options):
        (self.folder / "spec.json").write_text(spec if isinstance(spec, str) else json.dumps(spec))
        environment = {**os.environ, "FURROW_METRICS": "metrics", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE",
                       **(env or {})}
        return subprocess.run([PROGRAM, verb, "--spec", "spec.json"], cwd=self.folder, env=environment,
                              capture_output=True, text=True, timeout=120, **options)

    def passes(self, verb, spec, env=None):
        (self.folder / "metrics").unlink(missing_ok=True)
        done = self.run_step(verb, spec, env)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return [json.loads(line) for line in (self.folder / "metrics").read_text().splitlines()]

    def fails(self, verb, spec, *words, status=1, **options):
        done = self.run_step(verb, spec, **options)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertFalse((self.folder / "out.pt").exists())

    def weights(self, name="out.pt"):
        return torch.cat([p.detach().flatten() for p in torch.jit.load(str(self.folder / name)).parameters()])

    def test_training_learns_and_evaluation_agrees_with_python(self):
        lines = self.passes("train", self.train_spec())
        steps = [line for line in lines if "loss" in line]
        self.assertEqual([line["step"] for line in steps], [10, 20, 30, 40])
        self.assertEqual([line["epoch"] for line in steps], [2, 4, 5, 7])
        epochs = [line for line in lines if "epoch_loss" in line]
        self.assertEqual(len(epochs), 8)
        self.assertLess(epochs[-1]["epoch_loss"], epochs[0]["epoch_loss"] / 2)
        [measured] = self.passes("evaluate", {"model": "out.pt", "data": self.data, "loss": "nll", "batch": 7})
        net = torch.jit.load(str(self.folder / "out.pt")).eval()
        with torch.no_grad():
            output = net(torch.from_numpy(self.images).float().unsqueeze(1) / 255)
        labels = torch.from_numpy(self.labels).long()
        self.assertAlmostEqual(measured["loss"], nn.functional.nll_loss(output, labels).item(), places=5)
        self.assertAlmostEqual(measured["accuracy"], (output.argmax(1) == labels).float().mean().item(), places=5)
        self.assertGreater(measured["accuracy"], 0.9)
        self.assertEqual(measured["examples"], 90)

    def test_each_optimizer_takes_the_steps_that_python_takes(self):
        cases = {"sgd": ({"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}, torch.optim.SGD),
                 "adam": ({"lr": 0.01, "betas": [0.8, 0.9], "amsgrad": True}, torch.optim.Adam),
                 "adamw": ({"lr": 0.01}, torch.optim.AdamW)}
        for name, (values, kind) in cases.items():
            with self.subTest(name):
                self.passes("train", self.train_spec(optimizer={name: values}, shuffle=False, epochs=1, batch=30))
                net = torch.jit.load(str(self.folder / "net.pt"))
                optimizer = kind(net.parameters(), **values)
                images = torch.from_numpy(self.images).float().unsqueeze(1) / 255
                labels = torch.from_numpy(self.labels).long()
                for at in range(0, 90, 30):
                    optimizer.zero_grad()
                    nn.functional.nll_loss(net(images[at:at + 30]), labels[at:at + 30]).backward()
                    optimizer.step()
                expected = torch.cat([p.detach().flatten() for p in net.parameters()])
                self.assertTrue(torch.allclose(self.weights(), expected, atol=1e-6))

    def test_the_same_seed_gives_the_same_weights_and_another_seed_others(self):
        weights = []
        for seed in (3, 3, 4):
            self.passes("train", self.train_spec(seed=seed))
            weights.append(self.weights())
        self.assertTrue(torch.equal(weights[0], weights[1]))
        self.assertFalse(torch.equal(weights[0], weights[2]))

    def test_shards_are_parts_of_the_whole(self):
        spec = {"model": "net.pt", "data": self.data, "metrics": ["loss"]}
        [whole] = self.passes("evaluate", spec)
        parts = [self.passes("evaluate", spec, {"FURROW_SHARD_INDEX": str(i), "FURROW_SHARD_COUNT": "4"})[0] for i in range(4)]
        self.assertEqual([part["examples"] for part in parts], [22, 23, 22, 23])
        mean = sum(part["loss"] * part["examples"] for part in parts) / 90
        self.assertAlmostEqual(mean, whole["loss"], places=6)
        [empty] = self.passes("evaluate", {**spec, "data": {**self.data, "limit": 1}},
                              {"FURROW_SHARD_INDEX": "0", "FURROW_SHARD_COUNT": "2"})
        self.assertEqual(empty, {"examples": 0})

    def test_regression_from_npy_and_csv(self):
        self.save(nn.Linear(2, 1), "line.pt")
        x = numpy.random.default_rng(2).normal(size=(64, 2))
        y = (x @ numpy.array([[2.0], [-1.0]]) + 0.5).astype(numpy.float32)
        numpy.save(self.folder / "x.npy", x)
        numpy.save(self.folder / "y.npy", y)
        rows = "\n".join(f"{label[0]},{a},{b}" for (a, b), label in zip(x, y))
        (self.folder / "xy.csv").write_text("y,a,b\n" + rows + "\n")
        npy = {"format": "npy", "inputs": "x.npy", "labels": "y.npy"}
        csv = {"format": "csv", "file": "xy.csv", "label": "y"}
        for data in (npy, csv):
            with self.subTest(data["format"]):
                self.passes("train", self.train_spec(model="line.pt", data=data, loss="mse", epochs=40,
                                                     optimizer={"sgd": {"lr": 0.1}}))
                spec = {"model": "out.pt", "data": data, "loss": "mse", "metrics": ["loss", "mse", "mae"]}
                [measured] = self.passes("evaluate", spec)
                self.assertLess(measured["mae"], 0.01)
                self.assertEqual(measured["loss"], measured["mse"])
                (self.folder / "out.pt").unlink()

    def test_a_frozen_parameter_stays_and_the_mode_is_kept(self):
        net = Classifier().eval()
        net.conv.weight.requires_grad_(False)
        self.save(net, "net.pt")
        self.passes("train", self.train_spec())
        out = torch.jit.load(str(self.folder / "out.pt"))
        self.assertTrue(torch.equal(out.conv.weight, net.conv.weight))
        self.assertFalse(torch.equal(out.out.weight, net.out.weight))
        self.assertFalse(out.training)

    def test_what_is_no_torchscript(self):
        (self.folder / "net.pt").write_text("hello")
        self.fails("train", self.train_spec(), "net.pt: is no TorchScript module", "68 65 6c 6c 6f", "torch.jit.script")
        torch.save(Classifier().state_dict(), self.folder / "net.pt")
        self.fails("train", self.train_spec(), "net.pt: can't be read as a TorchScript module", "torch.jit.script")
        torch.save(Classifier().state_dict(), self.folder / "net.pt", _use_new_zipfile_serialization=False)
        self.fails("train", self.train_spec(), "net.pt: is a pickle, no TorchScript module")
        self.save(Classifier(), "net.pt")
        whole = (self.folder / "net.pt").read_bytes()
        (self.folder / "net.pt").write_bytes(whole[: len(whole) // 2])
        self.fails("evaluate", {"model": "net.pt", "data": self.data}, "net.pt: can't be read as a TorchScript module")

    def test_files_that_are_missing(self):
        self.fails("train", self.train_spec(model="none.pt"), "none.pt: No such file")
        self.fails("train", self.train_spec(data={**self.data, "labels": "none"}), "none: No such file")
        self.fails("train", self.train_spec(out="nowhere/out.pt"), "nowhere/")

    def test_truncated_data_says_expected_and_found(self):
        (self.folder / "images").write_bytes(idx(self.images)[:-5])
        self.fails("train", self.train_spec(data={**self.data, "images": "images"}), "images: truncated",
                   "1456 bytes were expected, 1451 found")
        packed = (self.folder / "images.gz").read_bytes()
        (self.folder / "images.gz").write_bytes(packed[:-20])
        self.fails("train", self.train_spec(), "images.gz: truncated gzip", f"{len(packed) - 20} bytes")

    def test_labels_that_do_not_fit(self):
        (self.folder / "labels").write_bytes(idx(self.labels[:80]))
        self.fails("train", self.train_spec(), "labels: 80 labels", "images.gz has 90 examples")
        self.labels[70] = 3
        (self.folder / "labels").write_bytes(idx(self.labels))
        self.fails("train", self.train_spec(), "labels: label 3 of example 70 is out of range", "3 classes")

    def test_a_module_that_does_not_fit_the_data_names_both_shapes(self):
        numpy.save(self.folder / "x.npy", numpy.zeros((90, 3, 5, 5), numpy.float32))
        data = {"format": "npy", "inputs": "x.npy", "labels": "y.npy"}
        numpy.save(self.folder / "y.npy", self.labels)
        for verb, spec in (("train", self.train_spec(data=data)), ("evaluate", {"model": "net.pt", "data": data, "batch": 16})):
            self.fails(verb, spec, "net.pt does not fit the data", "conv.weight is [4, 1, 3, 3]", "[16, 3, 5, 5]")
        self.save(nn.Linear(4, 5), "net.pt")
        self.fails("train", self.train_spec(), "[16, 1, 4, 5]", "labels is [16]")
        for net, kind in ((Several(""), "Tuple[Tensor, Tensor],"), (Named(""), "Dict[str, Tensor],"), (Listed(""), "List[Tensor],")):
            self.save(net, "net.pt")
            self.fails("train", self.train_spec(data={**self.data, "shape": [8, 2]}), f"forward returned {kind}",
                       "wrap it in a module whose forward returns the one tensor")
        self.save(Embedded(), "net.pt")
        self.fails("train", self.train_spec(data={**self.data, "shape": [16]}), "begin its forward with x = x.long()")
        self.save(Classifier().half(), "net.pt")
        if torch.__version__.startswith("1."):
            self.fails("train", self.train_spec(), "a CPU does not compute float16 here", "bfloat16")

    def test_parameters_that_cannot_be_trained(self):
        self.save(Complex(), "net.pt")
        self.fails("train", self.train_spec(), "parameter scale is [2] ComplexFloat", "register_buffer")
        self.save(torch.nn.ReLU(), "net.pt")
        self.fails("train", self.train_spec(), "net.pt: has no parameter that can be trained")
        for freeze in (torch.jit.freeze, torch.jit.optimize_for_inference):
            freeze(torch.jit.script(Classifier().eval())).save(str(self.folder / "net.pt"))
            self.fails("train", self.train_spec(), f"save it before torch.jit.{freeze.__name__}")
        torch.jit.trace(lambda x: x * 2, torch.zeros(1)).save(str(self.folder / "net.pt"))
        self.fails("train", self.train_spec(), "net.pt: has no parameter that can be trained")
        net = Classifier()
        for parameter in net.parameters():
            parameter.requires_grad_(False)
        self.save(net, "net.pt")
        self.fails("train", self.train_spec(), "requires_grad_(True)")

    def test_a_module_says_itself_why_it_fails(self):
        for way, words in enumerate(("ValueError: wants [B, 3], not [16, 1, 4, 4];", "NotImplementedError: two lines;",
                                     "RuntimeError: twice;", "`raise IndexError` failed;",
                                     "AssertionError: must be empty;", "`assert x.size(0) == 0` failed;",
                                     "shape '[5, -1]' is invalid for input of size 256;")):
            self.save(Raises(way), "net.pt")
            self.fails("train", self.train_spec(loss="cross_entropy"), words)
            self.fails("evaluate", {"model": "net.pt", "data": self.data, "batch": 16}, words)

    def test_the_cure_is_that_of_the_reason(self):
        images = {**self.data, "shape": [1, 4, 4]}
        shape = "; set data.shape, or define the module for it"
        for net in (nn.Linear(7, 3), nn.Conv2d(3, 2, 3), nn.Conv2d(1, 2, 7), nn.Conv3d(1, 2, 1), nn.BatchNorm1d(16),
                    nn.BatchNorm2d(5), nn.LayerNorm(9), nn.GroupNorm(2, 4), nn.Sequential(nn.Conv2d(1, 1, 1), nn.MaxPool2d(9)),
                    nn.Sequential(nn.Linear(4, 4), nn.Unflatten(3, (3, 3))), nn.PReLU(7)):
            self.save(net, "net.pt")
            self.fails("train", self.train_spec(data=images), "net.pt does not fit the data: ", shape)
        for way, words in (("index", "list index out of range"), ("own", "ValueError: the moon is full"),
                           ("singular", "singular"), ("range", "p_in >= 0")):
            self.save(Fails(way), "net.pt")
            for verb, spec in (("train", self.train_spec()), ("evaluate", {"model": "net.pt", "data": self.data, "batch": 16})):
                self.fails(verb, spec, "net.pt fails on a batch of the data, [16, 1, 4, 4] Float: ", words, "in Python")
                self.assertNotIn("data.shape", self.run_step(verb, spec).stderr)
        self.save(Embedded(long=True), "net.pt")
        (self.folder / "labels").write_bytes(idx(numpy.zeros(90, numpy.uint8)))
        self.fails("train", self.train_spec(data={**self.data, "shape": [16], "scale": 255}), "index out of range", "num_embeddings")

    def test_a_git_lfs_pointer_is_named_wherever_a_file_is_read(self):
        pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 3\n"
        for name in ("net.pt", "images.gz", "labels"):
            whole = (self.folder / name).read_bytes()
            (self.folder / name).write_text(pointer)
            self.fails("train", self.train_spec(), f"{name}: is a git-LFS pointer", "git lfs pull")
            self.fails("evaluate", {"model": "net.pt", "data": self.data, "batch": 16}, f"{name}: is a git-LFS pointer")
            (self.folder / name).write_bytes(whole)

    def test_a_module_of_a_newer_pytorch_names_both_versions(self):
        def rewrite(change):
            with zipfile.ZipFile(self.folder / "old.pt") as old, zipfile.ZipFile(self.folder / "net.pt", "w") as new:
                for name in old.namelist():
                    new.writestr(name, change(name, old.read(name)))
        self.save(Classifier(), "old.pt")
        ours = subprocess.run([PROGRAM, "--describe"], check=True, capture_output=True, text=True).stdout.split()[1]
        rewrite(lambda name, data: b"99\n" if name.endswith("/version") else data)
        self.fails("train", self.train_spec(), "saved by a newer PyTorch", "version 99", f"PyTorch {ours}")
        for ours_not in (b"torch.quite_new(", b"torch.relu(newer=True, self="):
            rewrite(lambda name, data: data.replace(b"torch.relu(", ours_not))
            self.fails("train", self.train_spec(), f"PyTorch {ours}", "newer PyTorch")
        rewrite(lambda name, data: data.replace(b"torch.relu(", b"ops.torchvision.nms("))
        self.fails("train", self.train_spec(), "torchvision")

    def test_a_last_batch_that_cannot_be_trained_is_said_before_the_first_step(self):
        cases = (("one example", Bare("batch"), 89, "Expected more than 1 value per channel"),
                 ("one example without its batch", Squeezed(), 89, "output is [3]"))
        for name, net, count, words in cases:
            with self.subTest(name):
                self.save(net, "net.pt")
                data = {**self.data, "limit": count}
                spec = self.train_spec(data=data, batch=8, epochs=2, loss="cross_entropy")
                (self.folder / "metrics").unlink(missing_ok=True)
                self.fails("train", spec, "the last batch of an epoch, which has 1 example (89 in batches of 8)", words,
                           "set drop_last to true")
                self.assertEqual((self.folder / "metrics").read_text(), "")
                lines = self.passes("train", {**spec, "drop_last": True})
                self.assertEqual([line["step"] for line in lines if "epoch_loss" in line], [11, 22])
                (self.folder / "out.pt").unlink()
        self.save(Bare("image"), "net.pt")  # each example has several values a channel, so one is enough
        self.passes("train", self.train_spec(data={**self.data, "limit": 89}, batch=8, loss="cross_entropy", epochs=1))
        (self.folder / "out.pt").unlink()
        self.save(Bare("batch"), "net.pt")
        self.fails("train", self.train_spec(batch=1, loss="cross_entropy"), "set batch to 2 or more")
        self.fails("train", self.train_spec(batch=91, drop_last=True), "drop_last leaves nothing of 90 examples")

    def test_a_loss_that_does_not_fit_the_output_is_said_before_the_first_step(self):
        numpy.save(self.folder / "x.npy", numpy.zeros((90, 4), numpy.float32))
        numpy.save(self.folder / "y.npy", self.labels.astype(numpy.int64))
        numpy.save(self.folder / "two.npy", numpy.zeros((90, 2), numpy.float32))
        data = {"format": "npy", "inputs": "x.npy", "labels": "y.npy"}
        linear = nn.Linear(4, 3)
        nn.init.constant_(linear.bias, 0.5)
        self.save(linear, "net.pt")
        self.fails("train", self.train_spec(data=data), "loss: nll compares logarithms of probabilities", "cross_entropy")
        self.fails("evaluate", {"model": "net.pt", "data": data, "loss": "nll"}, "end the module with log_softmax")
        self.fails("train", self.train_spec(data=data, loss="mse"), "[16, 3]", "mse needs as many values in both")
        turned = {"format": "npy", "inputs": "x.npy", "labels": "turned.npy", "shape": [2, 2, 1]}
        self.save(nn.Sequential(nn.Flatten(1), nn.Linear(4, 6), nn.Unflatten(1, (2, 3))), "square.pt")
        numpy.save(self.folder / "turned.npy", numpy.zeros((90, 3, 2), numpy.float32))
        spec = self.train_spec(model="square.pt", data=turned, loss="mse")
        self.fails("train", spec, "[16, 2, 3]", "[16, 3, 2]", "both need the same shape")
        for shape in ((90, 2, 3), (90, 6), (90, 1, 6)):
            numpy.save(self.folder / "turned.npy", numpy.zeros(shape, numpy.float32))
            self.passes("train", spec)
            (self.folder / "out.pt").unlink()
        self.fails("train", self.train_spec(data={**data, "labels": "two.npy"}), "labels of shape [90, 2]", "loss: mse")
        self.passes("train", self.train_spec(data=data, loss="cross_entropy"))

    def test_a_place_that_cannot_be_written_is_refused_before_training(self):
        (self.folder / "folder").mkdir()
        os.mkfifo(self.folder / "pipe")
        (self.folder / "null").symlink_to("/dev/null")
        for out, words in (("folder", "is a folder"), ("folder/", "name of a folder"), ("new/", "name of a folder"),
                           (".", "is a folder"), ("pipe", "is a pipe"), ("null", "is a device"),
                           ("/dev/null", "no place for files"), ("/dev/new", "no place for files"),
                           ("/proc/self/comm", "no place for files"), ("nowhere/out", "its folder nowhere/: No such"),
                           ("labels/out", "Not a directory"), ("x" * 300, "File name too long"),
                           ("labels", "is a file of the data"), ("./images.gz", "is a file of the data")):
            with self.subTest(out):
                done = self.run_step("train", self.train_spec(out=out))
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn("furrow-torch: out: ", done.stderr)
                self.assertIn(words, done.stderr)
        self.assertEqual((self.folder / "labels").read_bytes(), idx(self.labels))
        self.assertTrue(pathlib.Path("/dev/null").is_char_device())

    def test_a_loss_that_is_not_finite_names_the_step(self):
        self.save(nn.Linear(2, 1), "net.pt")
        numpy.save(self.folder / "x.npy", numpy.array([[1, 1], [1, 1], [math.nan, 1]], numpy.float32))
        numpy.save(self.folder / "y.npy", numpy.zeros((3, 1), numpy.float32))
        data = {"format": "npy", "inputs": "x.npy", "labels": "y.npy"}
        self.fails("train", self.train_spec(data=data, loss="mse", batch=1, shuffle=False), "not finite at step 3 (epoch 1)")

    def test_an_output_that_cannot_be_written(self):
        def small_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
        before = set(os.listdir(self.folder)) | {"spec.json", "metrics"}
        self.fails("train", self.train_spec(log_every=0, epochs=1), "out.pt was not written: File too large",
                   preexec_fn=small_files)
        self.assertEqual(set(os.listdir(self.folder)), before)

    def test_usage_and_spec_errors_exit_2(self):
        self.fails("train", self.train_spec(epoch=1), "unknown key 'epoch'; did you mean 'epochs'?", status=2)
        self.fails("train", "nonsense", "no JSON", status=2)
        self.fails("export", {}, "usage", status=2)
        self.fails("evaluate", {"model": "net.pt", "data": self.data}, "FURROW_SHARD_INDEX 4", status=2,
                   env={"FURROW_SHARD_INDEX": "4", "FURROW_SHARD_COUNT": "4"})

    def test_describe_and_version(self):
        described = subprocess.run([PROGRAM, "--describe"], check=True, capture_output=True, text=True).stdout
        for word in ("torch ", "threads ", "cuda ", "blas ", "quantised engines "):
            self.assertIn(word, described)
        self.assertTrue(subprocess.run([PROGRAM, "--version"], check=True, capture_output=True, text=True).stdout.startswith("furrow-torch "))


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
