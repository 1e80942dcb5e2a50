"""Looks at the trained network from Python, as its users will."""

import gzip
import os
import unittest

import numpy
import torch

DATA = os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist")
MEAN, STD = 0.286, 0.353  # as in furrow.yaml


class TrainedNet(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.set_num_threads(1)
        cls.net = torch.jit.load("trained.pt").eval()
        with gzip.open(f"{DATA}/t10k-images-idx3-ubyte.gz") as images, gzip.open(f"{DATA}/t10k-labels-idx1-ubyte.gz") as labels:
            raw = numpy.frombuffer(images.read(16 + 200 * 28 * 28), numpy.uint8, offset=16).reshape(-1, 1, 28, 28)
            cls.images = (torch.from_numpy(raw.copy()).float() / 255 - MEAN) / STD
            cls.labels = torch.from_numpy(numpy.frombuffer(labels.read(8 + 200), numpy.uint8, offset=8).copy()).long()
        with torch.no_grad():
            cls.output = cls.net(cls.images)

    def test_gives_log_probabilities_of_ten_classes(self):
        self.assertEqual(self.output.shape, (200, 10))
        self.assertTrue(torch.allclose(self.output.exp().sum(1), torch.ones(200), atol=1e-4))

    def test_has_learned(self):
        accuracy = (self.output.argmax(1) == self.labels).float().mean().item()
        self.assertGreater(accuracy, 0.7)

    def test_an_image_alone_gets_the_answer_it_gets_among_others(self):
        with torch.no_grad():
            alone = self.net(self.images[:1])
        self.assertTrue(torch.allclose(alone, self.output[:1], atol=1e-4))


if __name__ == "__main__":
    unittest.main()
