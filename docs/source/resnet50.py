"""He, Zhang, Ren & Sun 2016, arXiv:1512.03385, table 1, 50 layers, stride in the 3x3, as in torchvision (v1.5).
Shapes: those of the defaults."""

import torch.nn.functional as F
from torch import Tensor, nn


class Projection(nn.Sequential):
    """Two shortcuts for where the shape changes (section 3.3). Option B is a 1x1 convolution:

    block projection(out, stride=1) [
      if stride != 1 or in.c != out { conv1-{out}/{stride}(act=none) }
    ]
    """

    def __init__(self, in_channels: int, out: int, stride: int = 1) -> None:
        super().__init__(nn.Conv2d(in_channels, out, kernel_size=1, stride=stride, bias=False), nn.BatchNorm2d(out))


class Bottleneck(nn.Module):
    """Figure 5 right: ResNet-50, 101 and 152. The authors' models stride in the first 1x1; torchvision ("v1.5") in the 3x3.

    block bottleneck(w, s=1) {
      residual<conv1-{w}; conv3-{w}/{s}; conv1-{4*w}(act=none) | downsample: projection-{4*w}/{s}>
      relu
    }
    """

    def __init__(self, in_channels: int, w: int, s: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, w, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(w)
        self.conv2 = nn.Conv2d(w, w, kernel_size=3, stride=s, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(w)
        self.conv3 = nn.Conv2d(w, 4 * w, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * w)
        self.downsample = Projection(in_channels, 4 * w, stride=s) if in_channels != 4 * w else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class Resnet50(nn.Module):
    """The ResNet family on ImageNet: a stem, four stages of residual units, and a classifier. Labels are those of torchvision.
    The authors' Caffe models pool without padding and round up: the same 56x56, the windows one pixel further."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(*(Bottleneck(in_channels, 64) for in_channels in [64, 256, 256]))
        self.layer2 = nn.Sequential(Bottleneck(256, 128, s=2), *(Bottleneck(512, 128) for _ in range(3)))
        self.layer3 = nn.Sequential(Bottleneck(512, 256, s=2), *(Bottleneck(1024, 256) for _ in range(5)))
        self.layer4 = nn.Sequential(Bottleneck(1024, 512, s=2), Bottleneck(2048, 512), Bottleneck(2048, 512))
        self.fc = nn.Linear(2048, classes)
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), kernel_size=3, stride=2, padding=1)  # 64x56x56
        x = self.layer1(x)  # 256x56x56
        x = self.layer2(x)  # 512x28x28
        x = self.layer3(x)  # 1024x14x14
        x = F.adaptive_avg_pool2d(self.layer4(x), 1).flatten(1)  # 2048
        return self.fc(x)  # 1000


def init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
