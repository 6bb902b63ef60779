"""Texts become numbers: what the hashed form is, to the number, and that learnt ones come back from JSON."""

import json
from zlib import crc32

import numpy as np
import pytest

from nearfar.core.errors import ConfigError, DataError, RunError, UnknownName
from nearfar.core.schema import fits
from nearfar.modalities.text import tokenisers
from nearfar.modalities.text.tokenisers import hashed

TEXTS = ["The cat sat on the mat.", "a dog ran", "naïve café — 東京は大きい", "don't stop 123", "🙂 é e\u0301 x"] * 8


def test_hashed_words_by_hand():
    """A word's own number, then those of all n-grams of `<cat>`, in the order of the alphabet."""
    marked = "<cat>"
    grams = sorted({marked[i : i + n] for n in (2, 3, 4) for i in range(6 - n)})
    assert len(grams) == 9
    expected = [1 + crc32(b"\0cat") % 65536, *(-1 - crc32(g.encode()) % 65536 for g in grams)]
    spec = tokenisers.plan("hashed", [])
    assert tokenisers.tokenise(["Cat"], spec, 12)[0].tolist() == [*expected, 0, 0]


def test_stored_models_stay_valid():
    """These numbers are in every model that was trained on hashed texts: they may never change."""
    spec = tokenisers.plan("hashed:1000", [])
    assert tokenisers.tokenise(["a b"], spec, 6)[0].tolist() == [
        1 + crc32(b"\0a") % 1000, -1 - crc32(b"<a") % 1000, -1 - crc32(b"a>") % 1000,
        1 + crc32(b"\0b") % 1000, -1 - crc32(b"<b") % 1000, -1 - crc32(b"b>") % 1000,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The CAT's mat.", ["the", "cat's", "mat", "."]),
        ("東京は", ["東", "京", "は"]),
        ("ﬁne", ["fine"]),
        ("a_b", ["a", "_", "b"]),
        ("  \n ", []),
        ("नमस्ते दुनिया", None),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
    ],
)
def test_words(text, words):
    found = list(hashed.words(text))
    assert found == words if words is not None else len(found) >= 2


def test_word_pairs_by_hand():
    """A word's own number, as `hashed` has it, then that of it and the word before; they may never change either."""
    spec = tokenisers.plan("word_pairs:1000", [])
    assert tokenisers.tokenise(["How  MANY cats"], spec, 7)[0].tolist() == [
        1 + crc32(b"\0how") % 1000, -1 - crc32(b"\0how\0") % 1000,
        1 + crc32(b"\0many") % 1000, -1 - crc32(b"\0how\0many\0") % 1000,
        1 + crc32(b"\0cats") % 1000, -1 - crc32(b"\0many\0cats\0") % 1000, 0,
    ]  # fmt: skip
    assert tokenisers.spelt("How many cats", spec, 5) == ["how", "many", "cats"]
    assert tokenisers.spelt("How many cats", spec, 4) == ["how", "many"]
    turned = tokenisers.tokenise(["cats many how"], spec, 6)
    assert set(turned[turned > 0]) == {1 + crc32(b"\0" + w) % 1000 for w in (b"how", b"many", b"cats")}
    assert not set(turned[turned < 0]) & set(tokenisers.tokenise(["How many cats"], spec, 6)[0])


@pytest.mark.parametrize(("argument", "buckets", "lengths"), [("2-3", 65536, (2, 3)), ("1000,3-5", 1000, (3, 5))])
def test_lengths_of_hashed_n_grams(argument, buckets, lengths):
    spec = tokenisers.plan(f"hashed:{argument}", [])
    grams = {"<cats>"[i : i + n] for n in range(lengths[0], lengths[1] + 1) for i in range(7 - n)}
    found = tokenisers.tokenise(["cats"], spec, 40)[0]
    assert set(found[found < 0]) == {-1 - crc32(g.encode()) % buckets for g in grams}
    assert found[0] == 1 + crc32(b"\0cats") % buckets  # words have their numbers whatever the lengths


@pytest.mark.parametrize(
    "kind", ["hashed", "hashed:500", "hashed:500,2-3", "word_pairs", "word_pairs:500", "bpe:300", "unigram:100"]
)
def test_every_kind(kind):
    if not kind.startswith(("hashed", "word_pairs")):
        pytest.importorskip("tokenizers")
    spec = json.loads(json.dumps(tokenisers.plan(kind, TEXTS)))
    ids = tokenisers.tokenise(TEXTS, spec, 64)
    assert ids.dtype == np.int32 and ids.shape == (len(TEXTS), 64)
    assert np.abs(ids).max() <= spec["vocabulary"]
    assert (ids[:, 0] > 0).all()  # every text begins with a word
    used = ids != 0
    assert (used[:, :-1] >= used[:, 1:]).all()  # nothing but 0 after the end
    np.testing.assert_array_equal(tokenisers.tokenise(TEXTS, spec, 5), ids[:, :5])
    np.testing.assert_array_equal(tokenisers.tokenise(TEXTS[2:4], spec, 64), ids[2:4])


def test_pieces_of_a_word_belong_to_it():
    pytest.importorskip("tokenizers")
    spec = tokenisers.plan("bpe:280", TEXTS)
    ids = tokenisers.tokenise(["cat dog"], spec, 32)[0]
    assert (ids > 0).sum() == 2 and (ids < 0).sum() >= 2


@pytest.mark.parametrize("kind", ["hashed", "word_pairs"])
def test_odd_texts(kind):
    spec = tokenisers.plan(kind, [])
    ids = tokenisers.tokenise(["", "x" * 100_000, "word " * 50_000, "\ud800 lone"], spec, 100)
    assert not ids[0].any() and (ids[1:, 0] > 0).all() and (ids[2] != 0).all()


@pytest.mark.parametrize(("kind", "error", "what"), [("hashd", UnknownName, "hashed"), ("bpe:x", ConfigError, "tokens"),
                                                     ("hashed:1", ConfigError, "buckets"), ("hashed:4-2", ConfigError, "lengths"),
                                                     ("hashed:2000,3", ConfigError, "lengths")])  # fmt: skip
def test_slips_of_the_keyboard(kind, error, what):
    with pytest.raises(error, match=what):
        tokenisers.plan(kind, TEXTS)


def of_library(model, **parts):
    """A spec of the tokeniser of a pretrained model, with the vocabulary that it is given there."""
    library = pytest.importorskip("tokenizers")
    text = json.dumps({"version": "1.0", "model": model, **dict.fromkeys(("truncation", "padding", "pre_tokenizer", "normalizer",
                       "post_processor", "decoder"), None), "added_tokens": [], **parts})  # fmt: skip
    from nearfar.modalities.text.tokenisers import _trained

    return {"kind": "transformers", **_trained.spec(library.Tokenizer.from_str(text))}


WORDS = {"type": "WordLevel", "vocab": {"a": 0, "b": 9}, "unk_token": "[UNK]"}


def test_ids_that_are_left_out_and_words_that_are_there_twice_have_room():
    twice = {"type": "Unigram", "unk_id": 0, "vocab": [["?", 0.0], ["a", -1.0], ["b", -2.0], ["a", -3.0]]}
    for model, vocabulary, ids in ((WORDS, 10, [10, 0]), (twice, 4, [3, 0])):
        spec = of_library(model)
        assert spec["vocabulary"] == vocabulary
        fits(spec, tokenisers.spec_of(spec), "config.json")
        assert tokenisers.tokenise(["b"], spec, 2)[0].tolist() == ids
    with pytest.raises(RunError, match="whose vocabulary is 10, as its tokenizer has it"):
        fits(of_library(WORDS) | {"vocabulary": 2}, tokenisers.spec_of(spec), "config.json")


def test_texts_that_a_tokeniser_cannot_read_are_told():
    with pytest.raises(DataError, match="cannot read these texts .*UNK"):
        tokenisers.tokenise(["a", "z"], of_library(WORDS), 4)


def test_a_text_has_the_same_tokens_each_time():
    pairs = {"type": "BPE", "dropout": 0.5, "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}
    assert (tokenisers.tokenise(["ab"] * 50, of_library(pairs), 2) == [3, 0]).all()


def test_a_tokeniser_that_lengthens_texts_without_end_is_refused():
    once = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 100}
    for times, said in ((1, None), (3, "no more than 1000 times longer")):
        spec = of_library(WORDS, normalizer={"type": "Sequence", "normalizers": [once] * times})
        if said is None:
            fits(spec, tokenisers.spec_of(spec), "config.json")
        else:
            with pytest.raises(RunError, match=said):
                fits(spec, tokenisers.spec_of(spec), "config.json")
