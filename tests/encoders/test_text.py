"""Networks for texts: what each computes, against a slow form of it, and that they see the order of words."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nearfar.core.registry import ENCODERS
from nearfar.encoders.text import sequences, text_transformer
from tests.helpers import texts

ORDERED = [
    ("text_cnn", {"dim": 32, "filters": 32}),
    ("text_rnn", {"dim": 32, "width": 32}),
    ("text_rnn", {"dim": 32, "width": 32, "cell": "lstm", "pooling": "last"}),
    ("text_rnn", {"dim": 32, "width": 32, "layers": 2, "pooling": "max"}),
    ("text_transformer", {"width": 32, "layers": 2, "heads": 2}),
    ("text_transformer", {"width": 32, "layers": 2, "heads": 2, "pooling": "cls"}),
    ("text_transformer", {"width": 32, "layers": 2, "heads": 2, "pooling": "max"}),
]


def made(name, vocabulary=50, length=12, **options):
    torch.manual_seed(0)
    return ENCODERS.get(name).build(vocabulary=vocabulary, length=length, **options)


# --- pooling -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", sequences.POOLINGS)
def test_pooling_is_that_of_each_row_alone(how):
    lengths = [4, 1, 6, 0]
    states = torch.randn(4, 6, 3)
    there = torch.arange(6) < torch.tensor(lengths)[:, None]
    by_hand = {"mean": lambda s: s.mean(0), "max": lambda s: s.amax(0), "cls": lambda s: s[0], "last": lambda s: s[-1]}
    expected = torch.stack([by_hand[how](s[:n]) if n else torch.zeros(3) for s, n in zip(states, lengths, strict=True)])
    dirty = states.masked_fill(~there[:, :, None], torch.nan).requires_grad_()
    found = sequences.pooled(dirty, there, how)
    assert torch.allclose(found, expected, atol=1e-6)
    found.sum().backward()
    assert dirty.grad.isfinite().all()
    assert not dirty.grad[~there].any()


def test_helpers_are_no_encoders():
    assert not {"sequences", "pretrained", "tables"} & set(ENCODERS)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("text_rnn", {"pooling": "cls"}, "pooling: expected 'mean', 'max', 'last', got 'cls'"),
        ("text_rnn", {"cell": "elman"}, "cell: expected 'gru' or 'lstm'"),
        ("text_transformer", {"pooling": "last"}, "pooling: expected"),
        ("text_transformer", {"width": 30, "heads": 4}, "cannot be divided"),
        ("text_cnn", {"widths": ()}, "widths: expected"),
    ],
)
def test_options_that_cannot_be(name, options, said):
    with pytest.raises(ValueError, match=said):
        made(name, **options)


# --- buckets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["uniform", "skewed", "equal", "empty"])
def test_little_of_what_is_processed_is_padding(kind):
    draw = np.random.default_rng(0)
    lengths = {
        "uniform": draw.integers(1, 65, 256), "skewed": np.minimum(64, draw.lognormal(2, 1, 256)).astype(int),
        "equal": np.full(256, 32), "empty": np.zeros(16, int),
    }[kind]  # fmt: skip
    encoder = made("text_transformer", width=16, layers=1, heads=1, vocabulary=50)
    seen = []
    encoder.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[0] * args[0].shape[1]))
    encoder(texts.drawn(lengths, width=70))
    needed = np.maximum(lengths, 1).sum()
    assert needed <= sum(seen) <= needed / (1 - sequences.PADDING)
    assert len(seen) <= sequences.MOST
    assert kind not in ("equal", "empty") or len(seen) == 1


def test_rows_are_cut_where_it_saves_most():
    lengths = np.sort(np.random.default_rng(1).integers(1, 20, 30))

    def padding(edges):
        return sum(int((lengths[b - 1] - lengths[a:b]).sum()) for a, b in pairwise(edges))

    two = sequences.split(lengths, padding=0.0, most=2)
    assert padding(two) == min(padding([0, cut, 30]) for cut in range(1, 30))
    assert padding(sequences.split(lengths, padding=0.0, most=30)) == 0
    assert sequences.split(lengths, padding=1.0) == [0, 30]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=200), st.integers(1, 100))
def test_pieces_have_no_more_tokens_than_fit(lengths, tokens):
    lengths = np.sort(np.asarray(lengths))
    edges = sequences.cut(sequences.split(lengths), lengths, tokens)
    assert edges[0] == 0 and edges[-1] == len(lengths) and (np.diff(edges) > 0).all()
    for a, b in pairwise(edges):
        assert b - a == 1 or (b - a) * lengths[b - 1] <= tokens


@pytest.mark.parametrize("options", [{}, {"pooling": "cls"}, {"pooling": "max"}])
def test_buckets_change_no_number(options):
    encoder = made("text_transformer", dropout=0.0, width=32, heads=2, **options).double()
    x = texts.drawn([*range(13), 3, 12, 1]).abs()
    whole, apart = encoder.encode(x), encoder(x)
    assert torch.allclose(apart, whole, rtol=0, atol=1e-12)
    weight = torch.randn(whole.shape, dtype=torch.float64)
    parameters = list(encoder.parameters())
    for a, b in zip(
        torch.autograd.grad((whole * weight).sum(), parameters), torch.autograd.grad((apart * weight).sum(), parameters),
        strict=True,
    ):  # fmt: skip
        assert torch.allclose(a, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("name", "options"), ORDERED)
def test_features_of_a_row_are_its_own(name, options):
    """In double precision, so that nothing but rounding is left of the difference."""
    texts.depend_on_nothing_else(made(name, **options).double(), [12, 1, 0, 5, 3, 12, 8, 2], within=1e-12)


# --- each against its slow form ----------------------------------------------------------------------------------


def test_cnn_is_the_largest_of_every_windows_product():
    encoder = made("text_cnn", dim=6, filters=5).eval().double()
    (row,) = texts.drawn([7])
    vectors = encoder.vectors.weight[row.abs()]
    expected = []
    for width, convolution in zip((3, 4, 5), encoder.convolutions, strict=True):
        zeros = torch.zeros(width, 6)
        padded = torch.cat((zeros[: (width - 1) // 2], vectors, zeros[: width // 2]))
        windows = [padded[i : i + width] for i in range(7)]
        for filter, bias in zip(convolution.weight, convolution.bias, strict=True):
            expected.append(max(0.0, *((w.T * filter).sum().item() + bias.item() for w in windows)))
    assert np.allclose(encoder(row[None])[0].tolist(), expected, atol=1e-12)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("how", ["mean", "max", "last"])
def test_rnn_reads_each_row_from_both_ends(cell, how):
    encoder = made("text_rnn", dim=6, width=5, cell=cell, pooling=how).eval()
    one_way = encoder.recurrent.__class__(6, 5, batch_first=True)
    (row,) = texts.drawn([7])
    vectors = encoder.vectors.weight[row.abs()][None]
    own = encoder.recurrent.state_dict()
    one_way.load_state_dict({k: v for k, v in own.items() if not k.endswith("_reverse")})
    there = one_way(vectors)[0][0]
    one_way.load_state_dict({k.removesuffix("_reverse"): v for k, v in own.items() if k.endswith("_reverse")})
    back = one_way(vectors.flip(1))[0][0].flip(0)
    states = torch.cat((there, back), 1)
    expected = {"mean": states.mean(0), "max": states.amax(0), "last": torch.cat((there[-1], back[0]))}[how]
    x = torch.nn.functional.pad(torch.stack((row, row)), (0, 3))
    x[1, 2:] = 0
    assert torch.allclose(encoder(x)[0], expected, atol=1e-6)


def test_rotary_positions_are_products_of_complex_numbers():
    x = torch.randn(2, 5, 8)
    speed = 10_000.0 ** (-torch.arange(4) / 4)
    turned = torch.complex(x[..., :4], x[..., 4:]) * torch.exp(1j * torch.arange(5)[:, None] * speed)
    found = text_transformer.rotated(x, *text_transformer.rotation(5, 8, x.device))
    assert torch.allclose(found, torch.cat((turned.real, turned.imag), -1), atol=1e-5)
    q, k = torch.randn(8, dtype=torch.float64), torch.randn(8, dtype=torch.float64)
    angles = text_transformer.rotation(9, 8, x.device)
    at = [text_transformer.rotated(v.expand(9, 8), *angles) for v in (q, k)]
    for distance in range(4):  # only how far apart two tokens are matters
        products = [(at[0][i] @ at[1][i + distance]).item() for i in range(5)]
        assert np.allclose(products, products[0], atol=1e-5)


@pytest.mark.parametrize("length", [5, 140])
def test_attention_written_out_is_the_librarys(length):
    q, k, v = (torch.randn(2, 3, length, 8, dtype=torch.float64) for _ in range(3))
    mask = (torch.arange(length) < torch.tensor([[3], [length]]))[:, None, None]
    for m in (None, mask):
        library = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=m)
        assert torch.allclose(text_transformer.attended(q, k, v, m), library, atol=1e-12)


def test_transformer_is_the_librarys_layer_with_rotated_queries():
    """With its positions taken out a block is torch's own pre-norm layer."""
    block = text_transformer.Block(16, 2, 2.0, 0.0).double()
    library = nn.TransformerEncoderLayer(16, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True).double()
    for theirs, own in (
        (library.self_attn.in_proj_weight, block.qkv.weight), (library.self_attn.in_proj_bias, block.qkv.bias),
        (library.self_attn.out_proj.weight, block.out.weight), (library.self_attn.out_proj.bias, block.out.bias),
        (library.linear1.weight, block.mlp[0].weight), (library.linear1.bias, block.mlp[0].bias),
        (library.linear2.weight, block.mlp[2].weight), (library.linear2.bias, block.mlp[2].bias),
    ):  # fmt: skip
        theirs.data.copy_(own.data)
    x = torch.randn(3, 6, 16, dtype=torch.float64)
    still = (torch.ones(6, 4), torch.zeros(6, 4))
    there = torch.arange(6) < torch.tensor([[6], [2], [4]])
    found = block(x, there[:, None, None], still)
    assert torch.allclose(found[there], library(x, src_key_padding_mask=~there)[there], atol=1e-10)


# --- they learn what a bag of tokens cannot ----------------------------------------------------------------------


def orders(rows, seed):
    """Texts that hold the tokens 1 and 2 side by side among others; the class is which comes first."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randint(3, 21, (rows, 8), generator=random)
    place = torch.randint(0, 7, (rows, 1), generator=random)
    x.scatter_(1, place, 1).scatter_(1, place + 1, 2)
    other = x.clone().scatter_(1, place, 2).scatter_(1, place + 1, 1)
    return torch.cat((x, other)), torch.arange(2).repeat_interleave(rows)


def test_the_two_classes_are_the_same_to_a_bag():
    x, _ = orders(50, 0)
    assert torch.equal(x[:50].sort(1).values, x[50:].sort(1).values)


@pytest.mark.parametrize(("name", "options"), ORDERED)
def test_the_order_of_words_is_learnt(name, options):
    encoder = made(name, vocabulary=20, length=8, **options)
    head = nn.Linear(encoder.out_features, 2)
    optimiser = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=5e-3)
    for step in range(160 if options.get("pooling") == "cls" else 80):
        x, y = orders(64, step + 1)
        optimiser.zero_grad()
        nn.functional.cross_entropy(head(encoder(x)), y).backward()
        optimiser.step()
    encoder.eval()
    x, y = orders(200, 0)
    assert (head(encoder(x)).argmax(1) == y).float().mean() >= 0.95


# --- the bag of tokens ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [1.0, 1.5])
def test_a_static_bag_begins_as_a_projection_of_tfidf(power):
    rows = np.array([[1, 2, 2, 0], [1, 3, 0, 0], [1, -4, 2, 0]], np.int32)  # the sign of an id is not its number
    encoder = made("static", vocabulary=5, length=4, dim=4096, idf_power=power)
    encoder.setup(torch.from_numpy(rows))
    counts = np.stack([np.bincount(np.abs(r), minlength=6) for r in rows]).astype(float)[:, 1:]
    idf = (np.log(4 / (1 + (counts > 0).sum(0))) + 1) ** power
    expected = counts * idf
    x = encoder(torch.from_numpy(rows)).detach().double()
    cosines = torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(x).T
    unit = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.abs(cosines.numpy() - unit @ unit.T).max() < 0.05  # 3 standard deviations of 4,096 random directions
