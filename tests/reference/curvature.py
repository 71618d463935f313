"""Dense second derivatives in float64, a row at a time.

Reverse mode twice: forward over reverse of torch.func (2.13) gives an asymmetric matrix
where layer normalization takes part.
"""

import numpy as np
import torch
from torch.autograd.functional import hessian
from torch.func import functional_call, jacrev
from torch.nn.attention import SDPBackend, sdpa_kernel


def _flat_function(module, names):
    named = dict(module.named_parameters())
    sizes = [named[name].numel() for name in names]
    start = torch.cat([named[name].detach().reshape(-1) for name in names])

    def logits(theta, X):
        parts = theta.split(sizes)
        state = {
            name: part.view_as(named[name])
            for name, part in zip(names, parts, strict=True)
        }
        return functional_call(module, state, (X,))

    return start, logits


def dense_parts(module, X, y, *, names=None, temperature=1.0, reduction="mean"):
    """Return H, G and F as (P, P) arrays."""
    with sdpa_kernel(SDPBackend.MATH):
        return _dense_parts(module.double().eval(), X, y, names, temperature, reduction)


def _dense_parts(module, X, y, names, temperature, reduction):
    names = list(dict(module.named_parameters())) if names is None else names
    theta, logits = _flat_function(module, names)
    X = torch.as_tensor(X)
    X = X.double() if X.is_floating_point() else X
    y = torch.as_tensor(y)

    def loss(theta):
        return torch.nn.functional.cross_entropy(
            logits(theta, X) / temperature, y, reduction=reduction
        )

    whole = hessian(loss, theta)
    J = jacrev(lambda t: logits(t, X) / temperature)(theta)
    p = torch.softmax(logits(theta, X) / temperature, dim=1)
    part = torch.zeros_like(whole)
    for k in range(p.shape[1]):  # pairwise: a PSD sum without cancellation
        for m in range(k):
            D = J[:, k] - J[:, m]
            part += (D * (p[:, k] * p[:, m])[:, None]).T @ D
    if reduction == "mean":
        part = part / len(X)
    whole, part = whole.detach().numpy(), part.detach().numpy()
    return whole, part, whole - part


def exact_trace(module, X, y, **options):
    """Return the trace of the Gauss-Newton part."""
    return float(np.trace(dense_parts(module, X, y, **options)[1]))
