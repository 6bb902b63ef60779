"""Yi et al. 2019, equations 2 and 3, with the items of the sum drawn as in Bengio & Senécal 2008; row by row."""

import torch

from tests.helpers.inputs import similarity as similar

CASES = {
    "full": {},
    "sampled": {"sampled": torch.tensor([3, 1, 2]), "log_q": torch.tensor([-0.1, -2.0, -0.5, -3.0, -1.0])},
    "cosine": {"similarity": "cosine", "temperature": 0.1},
    "euclidean": {
        "similarity": "euclidean", "temperature": 1.5, "sampled": torch.tensor([0, 4]), "log_q": -torch.arange(5.0),
    },
}  # fmt: skip


def reference(views, relation, weight, temperature=1.0, sampled=None, log_q=None, similarity="dot"):
    items = range(len(weight)) if sampled is None else sampled.tolist()
    losses = []
    for x in views:
        for i, y in enumerate(relation.group.tolist()):
            if y >= len(weight):
                continue

            def logit(c, user=x[i]):
                corrected = similar(user, weight[c], similarity) / temperature
                return corrected if log_q is None else corrected - log_q[c]

            logits = [logit(y)] + [logit(c) for c in items if c != y]
            losses.append(torch.stack(logits).logsumexp(0) - logits[0])
    return torch.stack(losses).mean()
