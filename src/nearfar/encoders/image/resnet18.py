"""ResNet-18 with a 3×3 stem and no max-pool below 96 pixels, the usual 7×7 stem from there on."""

from torch import nn

MODALITIES = ("image", "sound")


def build(*, channels: int, size: int, stem: str = "auto") -> nn.Module:
    """ResNet-18 (He et al. 2015, arXiv 1512.03385) without its classifier; D = 512.

    Parameters
    ----------
    stem : {"auto", "cifar", "imagenet"}
        ``cifar``: 3×3, stride 1, no max-pool, as every published CIFAR figure.
    """
    from torchvision.models import resnet18

    if stem not in ("auto", "cifar", "imagenet"):
        raise ValueError(f"stem: expected 'auto', 'cifar' or 'imagenet', got {stem!r}")
    network = resnet18(weights=None, zero_init_residual=True)
    if stem == "cifar" or (stem == "auto" and size < 96):
        network.conv1 = nn.Conv2d(channels, 64, 3, 1, 1, bias=False)
        network.maxpool = nn.Identity()
    elif channels != 3:
        network.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    network.fc = nn.Identity()
    network.out_features = 512
    return network
