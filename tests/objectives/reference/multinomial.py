"""Liang et al. 2018, section 2.2, divided by how many items each user has; user by user and item by item."""

import torch

CASES = {
    "one item": {},
    "temperature": {"temperature": 0.3},
    "drawn": {"log_q": torch.tensor([-0.1, -2.0, -0.5, -3.0, -1.0])},
}


def reference(views, relation, weight, temperature=1.0, log_q=None):
    losses = []
    for x in views:
        for i in range(len(x)):
            own = [int(relation.group[i])] if relation.answers is None else relation.answers[i].tolist()
            seen = set() if relation.seen is None else set(relation.seen[i].tolist())
            own = [a for a in own if 0 <= a < len(weight)]
            if not own:
                continue
            logits = {}
            for c in range(len(weight)):
                if c in own or c not in seen:
                    logits[c] = x[i] @ weight[c] / temperature - (0 if log_q is None else log_q[c])
            total = torch.stack(list(logits.values())).logsumexp(0)
            losses.append(total - torch.stack([logits[a] for a in own]).mean())
    return torch.stack(losses).mean()
