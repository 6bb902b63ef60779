"""The scikit-learn transformer keeps scikit-learn's contract."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.utils.estimator_checks import parametrize_with_checks

from nearfar import ContrastiveEmbedding
from nearfar.core.errors import ConfigError

# Checks that may fail, with the reason. There are none.
EXPECTED_TO_FAIL: dict[str, str] = {}


@parametrize_with_checks(
    [ContrastiveEmbedding(epochs=1, n_components=4, width=8, layers=2, batch_size=32)],
    expected_failed_checks=lambda _: EXPECTED_TO_FAIL,
)
def test_sklearn_contract(estimator, check):
    check(estimator)


def test_labels_are_used_where_the_method_asks_for_them():
    X, y = load_iris(return_X_y=True)
    supcon = ContrastiveEmbedding("supcon", epochs=60, n_components=8, width=32, learning_rate=0.01)
    z = supcon.fit(X, y).transform(X)
    own = np.array([np.linalg.norm(z[y == c] - z[y == c].mean(0), axis=1).mean() for c in range(3)]).mean()
    assert own < 0.5 * np.linalg.norm(z - z.mean(0), axis=1).mean()
    with pytest.raises(ValueError, match="requires y"):
        supcon.fit(X)


def test_names_and_seed():
    X, _ = load_iris(return_X_y=True)
    model = ContrastiveEmbedding(epochs=1, n_components=3, random_state=5).fit(X)
    assert list(model.get_feature_names_out()) == [f"contrastiveembedding{i}" for i in range(3)]
    again = ContrastiveEmbedding(epochs=1, n_components=3, random_state=5).fit(X)
    np.testing.assert_array_equal(model.transform(X), again.transform(X))


def test_columns_whose_names_are_numbers_are_found_by_them():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(load_iris().data)
    model = ContrastiveEmbedding(epochs=1, n_components=3, width=8).fit(X)
    np.testing.assert_array_equal(model.transform(X[[3, 1, 0, 2]]), model.transform(X))


def test_what_is_measured_is_no_class():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        ContrastiveEmbedding("supcon").fit(X, y + 0.5)


def test_a_layer_of_no_width_is_refused():
    with pytest.raises(ConfigError, match="width 0"):
        ContrastiveEmbedding(n_components=0).fit(load_iris().data)
