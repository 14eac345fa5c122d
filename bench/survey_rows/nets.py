"""LeNet-5 as in the data-free papers: no batch-norm, whose statistics of made inputs would not be those of real ones."""

from torch import nn


def lenet(num_classes: int, width: int = 6) -> nn.Module:
    """5 x 5 convolutions of `width` and 8/3 `width` channels, each with ReLU and max-pooling, then 20 and 14 `width` units."""
    second, third, fourth = 8 * width // 3, 20 * width, 14 * width
    net = nn.Sequential()
    net.add_module("layer1", nn.Sequential(nn.Conv2d(1, width, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)))
    net.add_module("layer2", nn.Sequential(nn.Conv2d(width, second, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()))
    net.add_module("layer3", nn.Sequential(nn.Linear(25 * second, third), nn.ReLU(), nn.Linear(third, fourth), nn.ReLU()))
    net.add_module("linear", nn.Linear(fourth, num_classes))
    return net
