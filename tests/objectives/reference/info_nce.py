"""Chen et al. 2020, equation 1; with several positives as SupCon's L_out."""

from tests.objectives.reference.supcon import reference as supcon

CASES = {
    "default": {},
    "cold": {"temperature": 0.01},
    "dot": {"similarity": "dot", "temperature": 1.5},
    "euclidean": {"similarity": "euclidean", "temperature": 0.5},
    "squared euclidean": {"similarity": "squared_euclidean", "temperature": 2.0},
}


def reference(views, relation, temperature=0.2, similarity="cosine"):
    return supcon(views, relation, temperature, similarity=similarity)
