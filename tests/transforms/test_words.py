"""Views of texts keep words whole and leave something of every text."""

import pytest
import torch

from nearfar.transforms.draws import Draws
from nearfar.transforms.text._words import closed, width
from nearfar.transforms.text.crop_words import CropWords
from nearfar.transforms.text.cut_words import CutWords
from nearfar.transforms.text.drop_tokens import DropTokens
from nearfar.transforms.text.drop_words import DropWords
from nearfar.transforms.text.replace_words import ReplaceWords
from nearfar.transforms.text.shuffle_words import ShuffleWords

WORDS, ROWS = 12, 400


def texts(words=WORDS, rows=ROWS):
    """Rows of words; word w is 10w + 1 with the parts −(10w + 2) and −(10w + 3); two places are empty at the end."""
    word = 10 * torch.arange(words).repeat_interleave(3) + torch.tensor([1, 2, 3]).repeat(words)
    ids = word * torch.tensor([1, -1, -1]).repeat(words)
    return torch.cat((ids, torch.zeros(2, dtype=torch.long))).int().repeat(rows, 1)


def draws(rows=ROWS, seed=0):
    return Draws(torch.Generator().manual_seed(seed), rows)


def words_of(row):
    """The numbers of the words of a row, checked to be whole."""
    kept = [v for v in row.tolist() if v]
    assert len(kept) % 3 == 0
    for i in range(0, len(kept), 3):
        w = kept[i]
        assert w > 0 and kept[i + 1 : i + 3] == [-w - 1, -w - 2]
    return [(v - 1) // 10 for v in kept[::3]]


def test_drop_words():
    out = DropWords(0.3).apply(texts(), draws())
    found = [words_of(row) for row in out]
    assert all(f and f == sorted(f) for f in found)
    assert abs(sum(map(len, found)) / (ROWS * WORDS) - 0.7) < 0.02
    assert all(words_of(row) for row in DropWords(1.0).apply(texts(), draws()))  # nothing would be left: all stays


def test_crop_and_cut_words():
    for share, lowest, highest in (((0.25, 0.5), 3, 6), ((1.0, 1.0), 12, 12)):
        found = [words_of(r) for r in CropWords(share).apply(texts(), draws())]
        assert all(f == list(range(f[0], f[-1] + 1)) and lowest <= len(f) <= highest for f in found)
        assert share[0] == 1 or {f[0] for f in found} == set(range(WORDS - lowest + 1))
    for row in CutWords((0.25, 0.5)).apply(texts(), draws()):
        gone = sorted(set(range(WORDS)) - set(words_of(row)))
        assert gone == list(range(gone[0], gone[-1] + 1)) and 3 <= len(gone) <= 6
    assert all(words_of(row) == [0] for row in CutWords((0.5, 0.5)).apply(texts(1), draws()))


def test_shuffle_words():
    out = ShuffleWords(2.0).apply(texts(), draws())
    found = [words_of(row) for row in out]
    assert all(sorted(f) == list(range(WORDS)) for f in found)
    assert max(abs(place - w) for f in found for place, w in enumerate(f)) == 2
    assert (out[:, -2:] == 0).all()


def test_drop_tokens():
    ids = texts()
    out = DropTokens(0.25).apply(ids, draws())
    assert ((out == ids) | (out == 0)).all()
    assert abs((out[:, :-2] == 0).float().mean() - 0.25) < 0.02


def test_replace_words():
    ids, bank = texts(), texts() + 1000 * texts().sign()
    out = ReplaceWords(0.2).apply(ids, Draws(torch.Generator().manual_seed(0), ROWS, batch=lambda: bank))
    assert (out.sign() == ids.sign()).all()
    changed = out != ids
    assert (out[changed].abs() > 1000).all() and abs(changed[:, :-2].float().mean() - 0.2) < 0.02


def test_closed_and_width():
    ids = torch.tensor([[0, 5, 0, -6, 0], [0, 0, 0, 0, 0]])
    assert closed(ids).tolist() == [[5, -6, 0, 0, 0], [0, 0, 0, 0, 0]]
    assert width(ids) == 4 and width(ids[1:]) == 1


@pytest.mark.parametrize("t", [DropWords(), DropTokens(), CropWords(), CutWords(), ShuffleWords(), ReplaceWords()])
def test_empty_texts_stay_empty(t):
    empty = torch.zeros(4, 10, dtype=torch.int32)
    assert not t.apply(empty, draws(4)).any()
