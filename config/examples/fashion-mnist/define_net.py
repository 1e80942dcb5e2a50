"""Defines the example's network and saves it, untrained, as TorchScript. Everything after this step is native."""

import argparse

import torch
from torch import nn


class Net(nn.Module):
    """[N, 1, 28, 28] float32 in, [N, 10] log-probabilities out; 1.2 million parameters."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = torch.relu(self.conv1(x))
        x = torch.relu(self.conv2(x))
        x = torch.max_pool2d(x, 2)
        x = torch.flatten(x, 1)
        x = torch.relu(self.fc1(x))
        return torch.log_softmax(self.fc2(x), dim=1)


def build(seed=1):
    """The network with the weights that `seed` gives, as a TorchScript module."""
    torch.manual_seed(seed)
    return torch.jit.script(Net())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="net.pt", help="file to write")
    parser.add_argument("--seed", type=int, default=1, help="of the first weights")
    arguments = parser.parse_args()
    net = build(arguments.seed)
    net.save(arguments.out)
    print(f"{arguments.out}: {sum(p.numel() for p in net.parameters()):,} parameters")
