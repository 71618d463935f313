"""Algorithm 1 of the DRoP paper, one step at a time in plain Python."""


def paper_loop(recalls, class_counts, n_select):
    """Return the real class sizes of the paper's loop.

    Valid while the classes with errors can absorb the budget.
    """
    active = {k for k in range(len(recalls)) if recalls[k] < 1}
    density = [0.0] * len(recalls)
    budget = float(n_select)
    while budget > 1e-12 * n_select and active:
        scale = sum(class_counts[k] * (1 - recalls[k]) for k in active) / budget
        for k in sorted(active):
            step = (1 - recalls[k]) / scale
            density[k] += step
            budget -= class_counts[k] * step
            if density[k] > 1:
                active.discard(k)
                budget += class_counts[k] * (density[k] - 1)
                density[k] = 1.0
    return [d * n for d, n in zip(density, class_counts, strict=True)]


def bisection(weights, lower, upper, total):
    """Return ``clip(level * w, lower, upper)`` with the given sum, by bisection."""

    def fill(level):
        return [
            min(max(level * w, lo), hi)
            for w, lo, hi in zip(weights, lower, upper, strict=True)
        ]

    low, high = 0.0, 1.0
    while sum(fill(high)) < total:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if sum(fill(middle)) < total:
            low = middle
        else:
            high = middle
    return fill(high)
