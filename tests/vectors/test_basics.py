

def test_vectors_of_unit_length_share_one_scale():
    import numpy as np

    from nearfar.vectors.basics import moments, moments_of_model, scaled, unit

    x = np.random.default_rng(0).normal(size=(40, 5)) * [5, 1, 1, 0.1, 0]
    assert np.array_equal(moments_of_model(x)[1], moments(x)[1])  # of any length: each dimension has its own
    u = unit(x)
    mean, scale = moments_of_model(u)
    assert len(set(scale[:4])) == 1 and scale[4] == 0
    np.testing.assert_allclose(scale[0], 1 / np.sqrt(u.var(0).mean()))
    np.testing.assert_allclose(scaled(u, u[:3])[1], ((u - mean) * scale)[:3], rtol=1e-5)
