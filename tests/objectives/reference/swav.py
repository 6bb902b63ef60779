"""Caron et al. 2020, equation 2 and the Sinkhorn-Knopp listing of appendix A.1."""

import torch

CASES = {"default": {}, "soft": {"temperature": 0.5, "epsilon": 0.4, "iterations": 5}}


def reference(scores, targets, temperature=0.1, epsilon=0.05, iterations=3):
    codes = [sinkhorn(t.detach(), epsilon, iterations) for t in targets]
    losses = []
    for j, q in enumerate(codes):
        for i, x in enumerate(scores):
            if i != j:
                losses += [-(q[n] * torch.log_softmax(x[n] / temperature, 0)).sum() for n in range(len(x))]
    return torch.stack(losses).mean()


def sinkhorn(scores, epsilon, iterations):
    q = torch.exp((scores - scores.max()) / epsilon).T  # a common factor cancels
    k, b = q.shape
    q = q / q.sum()
    for _ in range(iterations):
        q = q / q.sum(1, keepdim=True) / k
        q = q / q.sum(0, keepdim=True) / b
    return (q * b).T
