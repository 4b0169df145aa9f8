"""Writes examples.golden.json: the losses of popular PyTorch scripts, for test/examples/examples.test.ts.

Run: python test/golden/examples_golden.py [NAME …]   (made with PyTorch 2.13.0)
Each script is a generator of losses, step by step, from seed 0 and random batches: 20 steps in float64 and 5 in float32, from the
same initial values (drawn in float32). Its counterpart is the program of the same name in examples/.
"""

import itertools
import json
import math
import pathlib
import sys

import torch
import torch.nn.functional as F
from torch import nn, optim


def batch(dtype, *shape):
    return torch.randn(*shape).to(dtype)


def classes(*shape, high=10):
    return torch.randint(0, high, shape)


def minimize(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


# https://github.com/pytorch/examples/tree/main/mnist
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = self.dropout1(F.max_pool2d(x, 2))
        x = torch.flatten(x, 1)
        x = self.dropout2(F.relu(self.fc1(x)))
        return F.log_softmax(self.fc2(x), dim=1)


def mnist(dtype):
    model = Net().to(dtype)
    optimizer = optim.Adadelta(model.parameters(), lr=1.0)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    for step in itertools.count(1):
        images, labels = batch(dtype, 4, 1, 28, 28), classes(4)
        yield minimize(optimizer, F.nll_loss(model(images), labels))
        if step % 4 == 0:
            scheduler.step()


# https://github.com/pytorch/examples/tree/main/dcgan
def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        nn.init.normal_(m.weight, 0.0, 0.02)
    elif classname.find("BatchNorm") != -1:
        nn.init.normal_(m.weight, 1.0, 0.02)
        nn.init.zeros_(m.bias)


def dcgan(dtype):
    nz, nf = 16, 8
    generator = nn.Sequential(
        nn.ConvTranspose2d(nz, nf * 4, 4, 1, 0, bias=False), nn.BatchNorm2d(nf * 4), nn.ReLU(True),
        nn.ConvTranspose2d(nf * 4, nf * 2, 4, 2, 1, bias=False), nn.BatchNorm2d(nf * 2), nn.ReLU(True),
        nn.ConvTranspose2d(nf * 2, nf, 4, 2, 1, bias=False), nn.BatchNorm2d(nf), nn.ReLU(True),
        nn.ConvTranspose2d(nf, 1, 4, 2, 1, bias=False), nn.Tanh())
    discriminator = nn.Sequential(
        nn.Conv2d(1, nf, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(nf, nf * 2, 4, 2, 1, bias=False), nn.BatchNorm2d(nf * 2), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(nf * 2, nf * 4, 4, 2, 1, bias=False), nn.BatchNorm2d(nf * 4), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(nf * 4, 1, 4, 1, 0, bias=False), nn.Sigmoid())
    generator.apply(weights_init).to(dtype)
    discriminator.apply(weights_init).to(dtype)
    criterion = nn.BCELoss()
    optimizer_d = optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    optimizer_g = optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    while True:
        real = batch(dtype, 8, 1, 32, 32)
        discriminator.zero_grad()
        label = torch.full((8,), 1, dtype=dtype)
        err_real = criterion(discriminator(real).view(-1), label)
        err_real.backward()
        fake = generator(torch.randn(8, nz, 1, 1, dtype=dtype))
        label.fill_(0)
        err_fake = criterion(discriminator(fake.detach()).view(-1), label)
        err_fake.backward()
        optimizer_d.step()
        generator.zero_grad()
        label.fill_(1)
        err_g = criterion(discriminator(fake).view(-1), label)
        err_g.backward()
        optimizer_g.step()
        yield [(err_real + err_fake).item(), err_g.item()]


# https://github.com/eriklindernoren/PyTorch-GAN/blob/master/implementations/wgan_gp, with convolutions
def compute_gradient_penalty(critic, real, fake):
    alpha = torch.rand(real.size(0), 1, 1, 1, dtype=real.dtype)
    interpolates = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    out = critic(interpolates)
    gradients = torch.autograd.grad(outputs=out, inputs=interpolates, grad_outputs=torch.ones_like(out),
                                    create_graph=True, retain_graph=True, only_inputs=True)[0]
    gradients = gradients.view(gradients.size(0), -1)
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean()


def wgan_gp(dtype):
    latent = 8
    generator = nn.Sequential(
        nn.Linear(latent, 32 * 7 * 7), nn.BatchNorm1d(32 * 7 * 7), nn.ReLU(), nn.Unflatten(1, (32, 7, 7)),
        nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 4, 2, 1), nn.Tanh()).to(dtype)
    critic = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(16, 32, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 1)).to(dtype)
    optimizer_c = optim.Adam(critic.parameters(), lr=2e-4, betas=(0.5, 0.9))
    optimizer_g = optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.9))
    while True:
        real = batch(dtype, 4, 1, 28, 28)
        with torch.no_grad():
            fake = generator(torch.randn(4, latent, dtype=dtype))
        optimizer_c.zero_grad()
        loss_c = -torch.mean(critic(real)) + torch.mean(critic(fake)) + 10 * compute_gradient_penalty(critic, real, fake)
        loss_c.backward()
        optimizer_c.step()
        optimizer_g.zero_grad()
        loss_g = -torch.mean(critic(generator(torch.randn(4, latent, dtype=dtype))))
        loss_g.backward()
        optimizer_g.step()
        yield [loss_c.item(), loss_g.item()]


# https://github.com/pytorch/examples/tree/main/vae
class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 400)
        self.fc21 = nn.Linear(400, 20)
        self.fc22 = nn.Linear(400, 20)
        self.fc3 = nn.Linear(20, 400)
        self.fc4 = nn.Linear(400, 784)

    def forward(self, x):
        h1 = F.relu(self.fc1(x.view(-1, 784)))
        mu, logvar = self.fc21(h1), self.fc22(h1)
        std = torch.exp(0.5 * logvar)
        z = mu + torch.randn_like(std) * std
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, logvar


def vae(dtype):
    model = VAE().to(dtype)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    while True:
        x = torch.rand(8, 1, 28, 28).to(dtype)
        recon_x, mu, logvar = model(x)
        bce = F.binary_cross_entropy(recon_x, x.view(-1, 784), reduction="sum")
        kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        yield minimize(optimizer, bce + kld)


# The siamese network of many tutorials: contrastive loss of Hadsell et al. 2006.
def siamese(dtype):
    features = nn.Sequential(
        nn.Conv2d(1, 16, 5), nn.BatchNorm2d(16), nn.PReLU(), nn.MaxPool2d(2, stride=2),
        nn.Conv2d(16, 32, 5), nn.BatchNorm2d(32), nn.PReLU(), nn.MaxPool2d(2, stride=2),
        nn.Flatten(), nn.Linear(512, 64), nn.PReLU(), nn.Linear(64, 8)).to(dtype)
    optimizer = optim.Adam(features.parameters(), lr=1e-3)
    while True:
        a, b = batch(dtype, 4, 1, 28, 28), batch(dtype, 4, 1, 28, 28)
        same = classes(4, high=2).to(dtype)
        distance = F.pairwise_distance(features(a), features(b))
        loss = 0.5 * torch.mean(same * distance.pow(2) + (1 - same) * F.relu(1.0 - distance).pow(2))
        yield minimize(optimizer, loss)


# https://github.com/pytorch/examples/tree/main/super_resolution
class SuperResolution(nn.Module):
    def __init__(self, upscale_factor):
        super().__init__()
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(1, 64, (5, 5), (1, 1), (2, 2))
        self.conv2 = nn.Conv2d(64, 64, (3, 3), (1, 1), (1, 1))
        self.conv3 = nn.Conv2d(64, 32, (3, 3), (1, 1), (1, 1))
        self.conv4 = nn.Conv2d(32, upscale_factor**2, (3, 3), (1, 1), (1, 1))
        self.pixel_shuffle = nn.PixelShuffle(upscale_factor)
        self._initialize_weights()

    def _initialize_weights(self):
        nn.init.orthogonal_(self.conv1.weight, nn.init.calculate_gain("relu"))
        nn.init.orthogonal_(self.conv2.weight, nn.init.calculate_gain("relu"))
        nn.init.orthogonal_(self.conv3.weight, nn.init.calculate_gain("relu"))
        nn.init.orthogonal_(self.conv4.weight)

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        x = self.relu(self.conv3(x))
        return self.pixel_shuffle(self.conv4(x))


def super_resolution(dtype):
    model = SuperResolution(3).to(dtype)
    model._initialize_weights()  # once more, with the rounding of this dtype
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.MSELoss()
    while True:
        small, large = batch(dtype, 2, 1, 8, 8), batch(dtype, 2, 1, 24, 24)
        yield minimize(optimizer, criterion(model(small), large))


# https://github.com/pytorch/examples/tree/main/fast_neural_style
class ConvLayer(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride):
        super().__init__()
        self.reflection_pad = nn.ReflectionPad2d(kernel_size // 2)
        self.conv2d = nn.Conv2d(in_channels, out_channels, kernel_size, stride)

    def forward(self, x):
        return self.conv2d(self.reflection_pad(x))


class ResidualBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = ConvLayer(channels, channels, kernel_size=3, stride=1)
        self.in1 = nn.InstanceNorm2d(channels, affine=True)
        self.conv2 = ConvLayer(channels, channels, kernel_size=3, stride=1)
        self.in2 = nn.InstanceNorm2d(channels, affine=True)

    def forward(self, x):
        return self.in2(self.conv2(F.relu(self.in1(self.conv1(x))))) + x


class UpsampleConvLayer(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride, upsample):
        super().__init__()
        self.upsample = upsample
        self.conv2d = ConvLayer(in_channels, out_channels, kernel_size, stride)

    def forward(self, x):
        return self.conv2d(F.interpolate(x, mode="nearest", scale_factor=self.upsample))


class TransformerNet(nn.Module):
    def __init__(self, width, blocks):
        super().__init__()
        self.conv1 = ConvLayer(3, width, 9, 1)
        self.in1 = nn.InstanceNorm2d(width, affine=True)
        self.conv2 = ConvLayer(width, width * 2, 3, 2)
        self.in2 = nn.InstanceNorm2d(width * 2, affine=True)
        self.conv3 = ConvLayer(width * 2, width * 4, 3, 2)
        self.in3 = nn.InstanceNorm2d(width * 4, affine=True)
        self.blocks = nn.Sequential(*[ResidualBlock(width * 4) for _ in range(blocks)])
        self.deconv1 = UpsampleConvLayer(width * 4, width * 2, 3, 1, 2)
        self.in4 = nn.InstanceNorm2d(width * 2, affine=True)
        self.deconv2 = UpsampleConvLayer(width * 2, width, 3, 1, 2)
        self.in5 = nn.InstanceNorm2d(width, affine=True)
        self.deconv3 = ConvLayer(width, 3, 9, 1)

    def forward(self, x):
        y = F.relu(self.in1(self.conv1(x)))
        y = F.relu(self.in2(self.conv2(y)))
        y = F.relu(self.in3(self.conv3(y)))
        y = self.blocks(y)
        y = F.relu(self.in4(self.deconv1(y)))
        y = F.relu(self.in5(self.deconv2(y)))
        return self.deconv3(y)


class LossNetwork(nn.Module):
    def __init__(self, width):
        super().__init__()
        sizes = [3, width, width * 2, width * 4]
        self.convs = nn.ModuleList(
            nn.Conv2d(sizes[i], sizes[i + 1], 3, padding=1, stride=2 if i > 0 else 1) for i in range(3))
        self.requires_grad_(False)

    def forward(self, x):
        found = []
        for conv in self.convs:
            x = F.relu(conv(x))
            found.append(x)
        return found


def gram_matrix(y):
    b, ch, h, w = y.size()
    features = y.view(b, ch, w * h)
    return features.bmm(features.transpose(1, 2)) / (ch * h * w)


def style_transfer(dtype):
    transformer, judge = TransformerNet(4, 1).to(dtype), LossNetwork(4).to(dtype)
    optimizer = optim.Adam(transformer.parameters(), 1e-3)
    gram_style = [gram_matrix(y) for y in judge(torch.rand(1, 3, 16, 16).to(dtype))]
    while True:
        x = torch.rand(2, 3, 16, 16).to(dtype)
        features_y, features_x = judge(transformer(x)), judge(x)
        content_loss = F.mse_loss(features_y[1], features_x[1])
        style_loss = 0.0
        for ft_y, gm_s in zip(features_y, gram_style):
            gm_y = gram_matrix(ft_y)
            style_loss += F.mse_loss(gm_y, gm_s.expand(gm_y.shape))
        yield minimize(optimizer, content_loss + 1e4 * style_loss)


# https://github.com/milesial/Pytorch-UNet, two sizes deep
def double_conv(a, b):
    return nn.Sequential(
        nn.Conv2d(a, b, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True),
        nn.Conv2d(b, b, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True))


class UNet(nn.Module):
    def __init__(self, n_channels, n_classes, width):
        super().__init__()
        self.inc = double_conv(n_channels, width)
        self.down1 = double_conv(width, width * 2)
        self.down2 = double_conv(width * 2, width * 4)
        self.up1 = nn.ConvTranspose2d(width * 4, width * 2, kernel_size=2, stride=2)
        self.conv1 = double_conv(width * 4, width * 2)
        self.up2 = nn.ConvTranspose2d(width * 2, width, kernel_size=2, stride=2)
        self.conv2 = double_conv(width * 2, width)
        self.outc = nn.Conv2d(width, n_classes, kernel_size=1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(F.max_pool2d(x1, 2))
        x3 = self.down2(F.max_pool2d(x2, 2))
        y = self.conv1(torch.cat([x2, self.up1(x3)], dim=1))
        return self.outc(self.conv2(torch.cat([x1, self.up2(y)], dim=1)))


def dice_loss(probabilities, masks, epsilon=1e-6):
    inter = 2 * (probabilities * masks).sum()
    return 1 - (inter + epsilon) / (probabilities.sum() + masks.sum() + epsilon)


def unet(dtype):
    model = UNet(1, 3, 4).to(dtype)
    optimizer = optim.RMSprop(model.parameters(), lr=1e-3, momentum=0.9)
    while True:
        images, target = batch(dtype, 2, 1, 16, 16), classes(2, 16, 16, high=3)
        logits = model(images)
        masks = F.one_hot(target, 3).permute(0, 3, 1, 2).to(dtype)
        yield minimize(optimizer, F.cross_entropy(logits, target) + dice_loss(F.softmax(logits, dim=1), masks))


# Fine-tuning as fastai and timm do it.
class FineTuned(nn.Module):
    def __init__(self):
        super().__init__()

        def stage(a, b):
            return nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())

        self.stem = stage(1, 16)
        self.body = nn.Sequential(stage(16, 32), stage(32, 64))
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.body(self.stem(x)).mean((2, 3)))


def fine_tuning(dtype):
    model = FineTuned().to(dtype)
    for _ in range(3):
        model(batch(dtype, 8, 1, 28, 28))  # moves the running statistics
    model.train()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.eval()
            m.requires_grad_(False)
    groups = [{"params": [p for p in part.parameters() if p.requires_grad]} for part in (model.stem, model.body, model.head)]
    optimizer = optim.AdamW(groups, weight_decay=0.01)
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=[1e-3, 3e-3, 1e-2], total_steps=24)
    ema = optim.swa_utils.AveragedModel(model, multi_avg_fn=optim.swa_utils.get_ema_multi_avg_fn(0.9))
    while True:
        images, labels = batch(dtype, 8, 1, 28, 28), classes(8)
        lam, index = torch.rand(1).item(), torch.randperm(8)
        output = model(lam * images + (1 - lam) * images[index])
        loss = lam * F.cross_entropy(output, labels, label_smoothing=0.1) \
            + (1 - lam) * F.cross_entropy(output, labels[index], label_smoothing=0.1)
        value = minimize(optimizer, loss)
        scheduler.step()
        ema.update_parameters(model)
        with torch.no_grad():
            yield [value, F.cross_entropy(ema(images), labels).item()]


def distillation(dtype):
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.BatchNorm1d(400), nn.ReLU(), nn.Dropout(0.2),
                            nn.Linear(400, 10)).to(dtype).eval()
    student = nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 10)).to(dtype)
    optimizer = optim.Adam(student.parameters())
    temperature, alpha = 4, 0.7
    while True:
        images, labels = batch(dtype, 8, 1, 28, 28), classes(8)
        with torch.no_grad():
            soft = F.softmax(teacher(images) / temperature, dim=1)
        logits = student(images)
        loss = nn.KLDivLoss(reduction="batchmean")(F.log_softmax(logits / temperature, dim=1), soft) \
            * (alpha * temperature * temperature) + F.cross_entropy(logits, labels) * (1.0 - alpha)
        yield minimize(optimizer, loss)


def metric_learning(dtype):
    features = nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.GroupNorm(4, 16), nn.SiLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.GroupNorm(4, 32), nn.SiLU(),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 32)).to(dtype)
    optimizer = optim.Adam(features.parameters(), lr=1e-3)
    while True:
        images, labels = batch(dtype, 8, 1, 28, 28), classes(8, high=3)
        points = F.normalize(features(images))
        distances = (points[:, None] - points[None]).pow(2).sum(2)
        same = labels[:, None] == labels[None]
        positive = distances.masked_fill(~same, 0).amax(1)
        negative = distances.masked_fill(same, math.inf).amin(1)
        yield minimize(optimizer, F.relu(positive - negative + 0.2).mean())


def lstm_rows(dtype):
    lstm, fc = nn.LSTM(28, 16, 2, batch_first=True, dropout=0.1).to(dtype), nn.Linear(16, 10).to(dtype)
    parameters = [*lstm.parameters(), *fc.parameters()]
    optimizer = optim.Adam(parameters, lr=3e-3)
    while True:
        images, labels = batch(dtype, 4, 1, 28, 28), classes(4)
        output, _ = lstm(images.squeeze(1))
        loss = F.cross_entropy(fc(output[:, -1, :]), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1)
        optimizer.step()
        yield loss.item()


class VisionTransformer(nn.Module):
    def __init__(self, patch, width, depth, heads, dropout):
        super().__init__()
        self.patches = nn.Conv2d(1, width, patch, stride=patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, (28 // patch) ** 2 + 1, width))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        layer = nn.TransformerEncoderLayer(width, heads, dim_feedforward=width * 2, dropout=dropout, activation="gelu",
                                           batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.size(0), -1, -1), x], dim=1) + self.pos_embed
        return self.head(self.norm(self.encoder(x)[:, 0]))


def vision_transformer(dtype):
    model = VisionTransformer(7, 32, 2, 4, 0.1).to(dtype)
    optimizer = optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    while True:
        images, labels = batch(dtype, 4, 1, 28, 28), classes(4)
        yield minimize(optimizer, F.cross_entropy(model(images), labels))


# Dive into Deep Learning, chapters 8.6 and 8.7
class Residual(nn.Module):
    def __init__(self, num_channels, use_1x1conv=False, strides=1):
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1 = nn.LazyBatchNorm2d()
        self.bn2 = nn.LazyBatchNorm2d()

    def forward(self, X):
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        if self.conv3:
            X = self.conv3(X)
        Y += X
        return F.relu(Y)


def init_cnn(module):
    if type(module) == nn.Linear or type(module) == nn.Conv2d:
        nn.init.xavier_uniform_(module.weight)


def d2l_stem(channels):
    return nn.Sequential(nn.LazyConv2d(channels, kernel_size=7, stride=2, padding=3), nn.LazyBatchNorm2d(), nn.ReLU(),
                         nn.MaxPool2d(kernel_size=3, stride=2, padding=1))


def d2l_train(net, dtype):
    net(torch.randn(2, 1, 32, 32))
    net.apply(init_cnn).to(dtype)
    optimizer = optim.SGD(net.parameters(), lr=0.01)
    while True:
        images, labels = batch(dtype, 4, 1, 32, 32), classes(4)
        yield minimize(optimizer, F.cross_entropy(net(images), labels))


def d2l_resnet(dtype):
    def block(num_residuals, num_channels, first_block=False):
        return nn.Sequential(*[
            Residual(num_channels, use_1x1conv=True, strides=2) if i == 0 and not first_block else Residual(num_channels)
            for i in range(num_residuals)])

    arch = ((2, 8), (2, 16), (1, 32))
    net = nn.Sequential(d2l_stem(8))
    for i, b in enumerate(arch):
        net.add_module(f"b{i + 2}", block(*b, first_block=(i == 0)))
    net.add_module("last", nn.Sequential(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.LazyLinear(10)))
    return d2l_train(net, dtype)


class DenseBlock(nn.Module):
    def __init__(self, num_convs, num_channels):
        super().__init__()
        self.net = nn.Sequential(*[
            nn.Sequential(nn.LazyBatchNorm2d(), nn.ReLU(), nn.LazyConv2d(num_channels, kernel_size=3, padding=1))
            for _ in range(num_convs)])

    def forward(self, X):
        for blk in self.net:
            X = torch.cat((X, blk(X)), dim=1)
        return X


def d2l_densenet(dtype):
    num_channels, growth_rate, arch = 16, 8, (2, 2)
    net = nn.Sequential(d2l_stem(num_channels))
    for i, num_convs in enumerate(arch):
        net.add_module(f"dense_blk{i + 1}", DenseBlock(num_convs, growth_rate))
        num_channels += num_convs * growth_rate
        if i != len(arch) - 1:
            num_channels //= 2
            net.add_module(f"tran_blk{i + 1}", nn.Sequential(
                nn.LazyBatchNorm2d(), nn.ReLU(), nn.LazyConv2d(num_channels, kernel_size=1),
                nn.AvgPool2d(kernel_size=2, stride=2)))
    net.add_module("last", nn.Sequential(nn.LazyBatchNorm2d(), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(),
                                         nn.LazyLinear(10)))
    return d2l_train(net, dtype)


SCRIPTS = [mnist, dcgan, wgan_gp, vae, siamese, super_resolution, style_transfer, unet, fine_tuning, distillation,
           metric_learning, lstm_rows, vision_transformer, d2l_resnet, d2l_densenet]


def losses(script, dtype, steps):
    torch.manual_seed(0)
    return list(itertools.islice(script(dtype), steps))


if __name__ == "__main__":
    torch.set_num_threads(2)
    path = pathlib.Path(__file__).with_name("examples.golden.json")
    golden = json.loads(path.read_text()) if path.exists() else {}
    for script in SCRIPTS:
        if sys.argv[1:] and script.__name__ not in sys.argv[1:]:
            continue
        golden[script.__name__] = {"float64": losses(script, torch.float64, 20), "float32": losses(script, torch.float32, 5)}
        print(script.__name__, golden[script.__name__]["float64"][0], golden[script.__name__]["float64"][-1])
    path.write_text(json.dumps(golden, indent=1) + "\n")
