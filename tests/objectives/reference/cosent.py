"""Su 2022, equation of CoSENT, comparison by comparison."""

import torch

from tests.helpers.inputs import similarity as similar

CASES = {
    "default": {},
    "warm": {"temperature": 0.5},
    "euclidean": {"temperature": 1.0, "similarity": "euclidean"},
}


def reference(left, right, relation, temperature=0.05, similarity="cosine"):
    s = [similar(x, y, similarity) / temperature for x, y in zip(left, right, strict=True)]
    terms = [torch.zeros_like(s[0])]
    for i in range(len(s)):
        for j in range(len(s)):
            if relation.score[i] > relation.score[j]:
                terms.append(s[j] - s[i])
    return torch.logsumexp(torch.stack(terms), 0)
