"""Writes cifar_resnet20.pt.gz and cifar_checkpoint.golden.json: a training checkpoint in the shape of the public ones of the CIFAR ResNets
(github.com/akamaster/pytorch_resnet_cifar10: keys of DataParallel, the state beside the best precision), and PyTorch's logits.

Run: python test/golden/cifar_checkpoint_golden.py   (PyTorch 2.13)
Weights are random multiples of 1/32, so that the file becomes small when it is packed; batch norms have seen a batch.
"""

import gzip
import io
import json
import pathlib

import torch
from torch import nn
from torch.nn import functional as F

HERE = pathlib.Path(__file__).parent


class Block(nn.Module):
    def __init__(self, inner, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inner, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        # Every second pixel, and zeros in the new channels on both sides; it has a child and no state.
        self.shortcut = nn.Sequential()
        self.stride, self.added = stride, (width - inner) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride != 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.added, self.added))
        return F.relu(y + x)


class ResNet(nn.Module):
    def __init__(self, count):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        stage = lambda inner, width, stride: nn.Sequential(Block(inner, width, stride), *(Block(width, width, 1) for _ in range(count - 1)))
        self.layer1, self.layer2, self.layer3 = stage(16, 16, 1), stage(16, 32, 2), stage(32, 64, 2)
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        y = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(F.avg_pool2d(y, y.shape[3]).flatten(1))


torch.manual_seed(0)
model = ResNet(3)
with torch.no_grad():
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.copy_((parameter * 32).round() / 32)
    # What test/models/weights.test.ts makes by the same rule.
    images = torch.sin(torch.arange(2 * 3 * 32 * 32, dtype=torch.float64)).float().reshape(2, 3, 32, 32)
    model.train()(torch.cos(torch.arange(4 * 3 * 32 * 32, dtype=torch.float64)).float().reshape(4, 3, 32, 32))
    logits = model.eval()(images)
file = io.BytesIO()
torch.save({"state_dict": nn.DataParallel(model).state_dict(), "best_prec1": 91.73}, file)
(HERE / "cifar_resnet20.pt.gz").write_bytes(gzip.compress(file.getvalue(), mtime=0))
(HERE / "cifar_checkpoint.golden.json").write_text(json.dumps({"logits": logits.tolist()}) + "\n")
