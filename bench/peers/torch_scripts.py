# The training steps of bench/scripts.ts in PyTorch, by the same names.
import sys
from pathlib import Path

import torch
from torch import nn, optim
from torch_models import mobilenet_v2

sys.path.append(str(Path(__file__).resolve().parents[2] / "test/golden"))
from examples_golden import Net, compute_gradient_penalty  # noqa: E402

F = nn.functional


def minimize(optimizer, loss):
    optimizer.zero_grad()
    loss().backward()
    optimizer.step()


def classifier(model, optimizer, shape, loss=F.cross_entropy, layout=torch.contiguous_format):
    x, labels = torch.randn(shape), torch.randint(0, 10, shape[:1])
    if x.dim() == 4:
        model, x = model.to(memory_format=layout), x.to(memory_format=layout)
    return lambda: minimize(optimizer, lambda: loss(model(x), labels))


class VisionTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 192, 4, stride=4)
        self.positions = nn.Parameter(torch.zeros(1, 64, 192))
        layer = nn.TransformerEncoderLayer(192, 3, 768, 0.1, activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(192), nn.Linear(192, 10)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        return self.head(self.norm(self.encoder(tokens)).mean(1))


class RowReader(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.fc = layer, nn.Linear(128, 10)

    def forward(self, x):
        return self.fc(self.layer(x)[0][:, -1])


class LstmByHand(nn.Module):
    def __init__(self):
        super().__init__()
        self.from_input, self.from_state, self.fc = nn.Linear(28, 512), nn.Linear(128, 512), nn.Linear(128, 10)

    def forward(self, x):
        h = c = torch.zeros(x.shape[0], 128)
        for row in x.unbind(1):
            i, f, g, o = (self.from_input(row) + self.from_state(h)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return self.fc(h)


class SqueezeExcitation(nn.Module):
    def __init__(self, channels, squeezed):
        super().__init__()
        self.scale = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, squeezed, 1), nn.ReLU(),
                                   nn.Conv2d(squeezed, channels, 1), nn.Sigmoid())

    def forward(self, x):
        return x * self.scale(x)


class SqueezedBlock(nn.Module):
    def __init__(self, inside, width, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), SqueezeExcitation(width, width // 16))
        self.shortcut = nn.Identity() if stride == 1 and inside == width else nn.Sequential(
            nn.Conv2d(inside, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        return (self.body(x) + self.shortcut(x)).relu()


def squeeze_net():
    blocks = [SqueezedBlock(*sizes) for sizes in
              ((64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1))]
    return nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(), *blocks,
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))


def adam(model):
    return optim.Adam(model.parameters())


def sgd(model):
    return optim.SGD(model.parameters(), lr=0.01, momentum=0.9)


def rows(model):
    return classifier(model, adam(model), (64, 28, 28))


def vit():
    model = VisionTransformer()
    return classifier(model, optim.AdamW(model.parameters()), (32, 3, 32, 32))


def metric_losses():
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32))
    optimizer = adam(model)
    batches = [torch.randn(64, 64) for _ in range(3)]
    same = torch.randint(0, 2, (64,)).float() * 2 - 1

    def loss():
        a, p, n = (model(x) for x in batches)
        return F.triplet_margin_loss(a, p, n) + F.cosine_embedding_loss(a, p, same, margin=0.2)

    return lambda: minimize(optimizer, loss)


def wgan_gp():
    generator = nn.Sequential(
        nn.Linear(32, 32 * 7 * 7), nn.BatchNorm1d(32 * 7 * 7), nn.ReLU(), nn.Unflatten(1, (32, 7, 7)),
        nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.ConvTranspose2d(16, 1, 4, 2, 1), nn.Tanh())
    critic = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(16, 32, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(),
        nn.Linear(32 * 7 * 7, 1))
    of_critic, of_generator = (optim.Adam(part.parameters(), lr=2e-4, betas=(0.5, 0.9)) for part in (critic, generator))
    real = torch.randn(32, 1, 28, 28)

    def noise():
        return torch.randn(32, 32)

    def critic_loss():
        fake = generator(noise()).detach()
        distance = critic(real).mean() - critic(fake).mean()
        return compute_gradient_penalty(critic, real, fake) * 10 - distance

    def run():
        minimize(of_critic, critic_loss)
        minimize(of_generator, lambda: -critic(generator(noise())).mean())

    return run


def images(make_model, make_optimizer, shape, loss=F.cross_entropy):
    """In both memory formats, of which the faster is measured."""
    def in_format(layout):
        model = make_model()
        return lambda: classifier(model, make_optimizer(model), shape, loss, layout)

    return {"contiguous": in_format(torch.contiguous_format), "channels_last": in_format(torch.channels_last)}


SCRIPTS = {
    "vit": vit,
    "lstm": lambda: rows(RowReader(nn.LSTM(28, 128, batch_first=True))),
    "gru": lambda: rows(RowReader(nn.GRU(28, 128, batch_first=True))),
    "lstm_by_hand": lambda: rows(LstmByHand()),
    "metric_losses": metric_losses,
    "wgan_gp": wgan_gp,
    "mobilenet_v2": lambda: images(lambda: mobilenet_v2(10), sgd, (32, 3, 32, 32)),
    "senet": lambda: images(squeeze_net, sgd, (32, 3, 32, 32)),
    "mnist": lambda: images(Net, lambda model: optim.Adadelta(model.parameters(), lr=1.0), (64, 1, 28, 28), F.nll_loss),
}
