"""Transformer with rotary positions, from random weights; sees whole texts, needs many of them."""

import torch
import torch.nn.functional as F
from torch import nn

from nearfar.encoders.text.sequences import check_pooling, exporting, in_buckets, pooled

MODALITIES = ("text",)
TOKENS = "bpe"

POOLINGS = ("mean", "cls", "max")
SHORT = 128  # tokens up to which attention written out is quicker on a processor, in bfloat16 several times


def rotation(length: int, dim: int, device: torch.device, base: float = 10_000.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and sine, float32 (length, dim / 2), of the angle of each position in each plane."""
    speed = base ** (-torch.arange(0, dim, 2, device=device, dtype=torch.float32) / dim)
    angle = torch.arange(length, device=device, dtype=torch.float32)[:, None] * speed
    return angle.cos(), angle.sin()


def rotated(x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """Vectors (…, L, D) turned by the angles of their positions; the planes are (x_i, x_{i + D/2})."""
    a, b = x.chunk(2, -1)
    cosine, sine = cosine.to(x.dtype), sine.to(x.dtype)
    return torch.cat((a * cosine - b * sine, b * cosine + a * sine), -1)


def attended(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Softmax attention (N, H, L, D); `mask` is bool, broadcastable to (N, H, L, L)."""
    if q.device.type != "cpu" or exporting() or q.shape[2] > SHORT:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    scores = (q * q.shape[3] ** -0.5) @ k.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(-1) @ v


class Block(nn.Module):
    """Attention and two linear layers, each normed before and added to what came in (Xiong et al. 2020, 2002.04745)."""

    def __init__(self, width: int, heads: int, ratio: float, dropout: float) -> None:
        super().__init__()
        hidden = round(ratio * width)
        self.heads = heads
        self.norm, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor | None, angles: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        """(N, L, width) to the same; `mask`, bool (N, 1, 1, L), says what may be looked at, None for everything."""
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = attended(rotated(q, *angles), rotated(k, *angles), v, mask)
        x = x + self.dropout(self.out(seen.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.mlp(self.norm_mlp(x)))


class TextTransformer(nn.Module):
    """Token vectors, blocks, a norm, and one vector of the states (Vaswani et al. 2017, arXiv 1706.03762); D = `width`.

    Positions are rotary (Su et al. 2021, arXiv 2104.09864), so texts of any length go through.

    Parameters
    ----------
    heads : int
        Of attention; `width` is divided among them in pairs.
    ratio : float
        Width of the hidden layer of a block, as a multiple of `width`.
    pooling : {"mean", "cls", "max"}
        ``cls``: the state of a learnt token before the first, which a text without ids has too.
    dropout : float
        Of token vectors and of what each half of a block adds.
    """

    def __init__(
        self, *, vocabulary: int, length: int, width: int = 128, layers: int = 2, heads: int = 4, ratio: float = 4.0,
        pooling: str = "mean", dropout: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        if heads < 1 or width % (2 * heads):
            raise ValueError(f"a width of {width} cannot be divided among {heads} heads in pairs")
        self.pooling = check_pooling(pooling, POOLINGS)
        self.vectors = nn.Embedding(vocabulary + 1, width, padding_idx=0)
        self.first = nn.Parameter(torch.randn(width) * 0.02) if pooling == "cls" else None
        self.blocks = nn.ModuleList(Block(width, heads, ratio, dropout) for _ in range(layers))
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        self.head_dim, self.out_features = width // heads, width
        self._draw()

    @torch.no_grad()
    def _draw(self) -> None:
        """Normal weights of 0.02; what is added to the stream less, by the root of how often (GPT-2, 2019)."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                adds = name.endswith((".out", ".mlp.2"))
                module.weight.normal_(0, 0.02 / (2 * len(self.blocks)) ** 0.5 if adds else 0.02)
                module.bias.zero_()
        self.vectors.weight.normal_(0, 0.02)
        self.vectors.weight[0] = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return in_buckets(self.encode, x.abs())

    def encode(self, ids: torch.Tensor) -> torch.Tensor:
        """Features of rows of ids ≥ 0, all at once."""
        there = ids > 0
        x = self.vectors(ids)
        if self.first is not None:
            x = torch.cat((self.first.expand(len(ids), 1, -1), x), 1)
            there = F.pad(there, (1, 0), value=True)
        seen = F.pad(there[:, 1:], (1, 0), value=True)  # a row without tokens has to look at something
        mask = None if seen.device.type == "cpu" and not exporting() and bool(seen.all()) else seen[:, None, None]
        angles = rotation(x.shape[1], self.head_dim, x.device)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x, mask, angles)
        return pooled(self.norm(x), there, self.pooling)


build = TextTransformer
