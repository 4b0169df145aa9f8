"""The networks of the benchmarks in PyTorch alone, with torchvision's structure, and its initial weights where a seed is to give them (ResNet)."""
import torch
from torch import nn


def conv_norm(inside, outside, kernel, stride=1, groups=1, act=nn.ReLU):
    layers = [nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outside)]
    return nn.Sequential(*layers, *([act(inplace=True)] if act else []))


class Residual(nn.Module):
    def __init__(self, body, shortcut=None, last=None):
        super().__init__()
        self.body, self.shortcut, self.last = body, shortcut or nn.Identity(), last or nn.Identity()

    def forward(self, x):
        y = self.body(x)
        y += self.shortcut(x)
        return self.last(y)


def basic(inside, width, stride):
    return nn.Sequential(conv_norm(inside, width, 3, stride), conv_norm(width, width, 3, act=None))


def bottleneck(inside, width, stride):
    return nn.Sequential(
        conv_norm(inside, width, 1), conv_norm(width, width, 3, stride), conv_norm(width, 4 * width, 1, act=None))


def stem():
    return [conv_norm(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]


def head(features, classes):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, classes)]


def resnet(block, expansion, counts, classes):
    layers, inside = stem(), 64
    for i, count in enumerate(counts):
        width = 64 << i
        for j in range(count):
            stride, outside = 2 if i > 0 and j == 0 else 1, width * expansion
            shortcut = conv_norm(inside, outside, 1, stride, act=None) if stride > 1 or inside != outside else None
            layers.append(Residual(block(inside, width, stride), shortcut, nn.ReLU(inplace=True)))
            inside = outside
    model = nn.Sequential(*layers, *head(inside, classes))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


def inverted_residual(inside, outside, stride, expansion):
    inner = inside * expansion
    widen = [] if expansion == 1 else [conv_norm(inside, inner, 1, act=nn.ReLU6)]
    body = nn.Sequential(
        *widen, conv_norm(inner, inner, 3, stride, inner, nn.ReLU6), conv_norm(inner, outside, 1, act=None))
    return Residual(body) if stride == 1 and inside == outside else body


def mobilenet_v2(classes):
    layers, inside = [conv_norm(3, 32, 3, 2, act=nn.ReLU6)], 32
    for expansion, outside, count, stride in [
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
        for j in range(count):
            layers.append(inverted_residual(inside, outside, stride if j == 0 else 1, expansion))
            inside = outside
    pool, flatten, linear = head(1280, classes)
    return nn.Sequential(*layers, conv_norm(inside, 1280, 1, act=nn.ReLU6), pool, flatten, nn.Dropout(0.2), linear)


def vgg11_bn(classes):
    layers, inside = [], 3
    for outside in [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"]:
        if outside == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)]
            inside = outside
    hidden = [layer for features in (512 * 49, 4096)
              for layer in (nn.Linear(features, 4096), nn.ReLU(inplace=True), nn.Dropout())]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(7), nn.Flatten(), *hidden, nn.Linear(4096, classes))


def norm_conv(inside, outside, kernel):
    return nn.Sequential(nn.BatchNorm2d(inside), nn.ReLU(inplace=True),
                         nn.Conv2d(inside, outside, kernel, padding=kernel // 2, bias=False))


class DenseBlock(nn.Module):
    def __init__(self, inside, count):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(norm_conv(inside + 32 * j, 128, 1), norm_conv(128, 32, 3)) for j in range(count))

    def forward(self, x):
        features = [x]
        for layer in self.layers:
            features.append(layer(torch.cat(features, 1)))
        return torch.cat(features, 1)


def densenet121(classes):
    layers, inside = stem(), 64
    for count in (6, 12, 24, 16):
        layers.append(DenseBlock(inside, count))
        inside += 32 * count
        if count != 16:
            layers += [norm_conv(inside, inside // 2, 1), nn.AvgPool2d(2)]
            inside //= 2
    return nn.Sequential(*layers, nn.BatchNorm2d(inside), nn.ReLU(inplace=True), *head(inside, classes))


def lenet(classes):
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.BatchNorm2d(6), nn.Sigmoid(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.BatchNorm2d(16), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.BatchNorm1d(120), nn.Sigmoid(),
        nn.Linear(120, 84), nn.BatchNorm1d(84), nn.Sigmoid(), nn.Linear(84, classes))


def mlp(classes):
    sizes = (784, 512, 512)
    hidden = [layer for inside, outside in zip(sizes, sizes[1:])
              for layer in (nn.Linear(inside, outside), nn.BatchNorm1d(outside), nn.ReLU(inplace=True))]
    return nn.Sequential(*hidden, nn.Linear(sizes[-1], classes))


NETWORKS = {
    "resnet18": lambda classes: resnet(basic, 1, (2, 2, 2, 2), classes),
    "resnet50": lambda classes: resnet(bottleneck, 4, (3, 4, 6, 3), classes),
    "mobilenet_v2": mobilenet_v2,
    "vgg11_bn": vgg11_bn,
    "densenet121": densenet121,
    "lenet": lenet,
    "mlp": mlp,
}
