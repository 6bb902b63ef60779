"""A model that is used as it was pretrained has no untrained encoder beneath it, unless that is asked for."""

import numpy as np
import pytest

import nearfar

pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")

from tests.helpers.tiny_transformers import WORDS
from tests.models.test_pretrained import folder_of


@pytest.fixture
def labelled(tmp_path):
    draw = np.random.default_rng(0)
    y = np.arange(60) % 2
    rows = [",".join((" ".join(draw.choice(WORDS[k::2], 4)), "ab"[k])) for k in y]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *rows]))
    return tmp_path / "rows.csv"


def test_it_is_left_out_with_a_sentence_and_measured_where_it_is_asked_for(tmp_path, labelled):
    folder = folder_of(tmp_path, "bert")
    found = nearfar.evaluate(folder, labelled, protocols="knn", quiet=True)
    assert set(found.results[0]["floors"]) == {"majority", "raw_input"}
    (said,) = [w for w in found.warnings if "--floors" in w]
    assert said.startswith(f"The untrained encoder of {found.results[0]['run']} is not measured")
    assert said in found.table()
    asked = nearfar.evaluate(folder, labelled, protocols="knn", floors=True, quiet=True)
    assert "untrained_encoder" in asked.results[0]["floors"]
    assert not [w for w in asked.warnings if "--floors" in w]
    none = nearfar.evaluate(folder, labelled, protocols="knn", floors=False, quiet=True)
    assert set(none.results[0]["floors"]) == {"majority"}
    assert not [w for w in none.warnings if "--floors" in w]
