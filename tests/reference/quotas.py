"""Layer quotas and pruning orders, one step at a time in plain Python."""

import math
from decimal import Decimal, localcontext
from fractions import Fraction


def uniform_plus(shapes, sparsity):
    """Gale et al.: first layer whole, last layer at 0.8 at most; in reach only."""
    counts = [math.prod(shape) for shape in shapes]
    level = sparsity * sum(counts) / (sum(counts) - counts[0])
    excess = max(0.0, level - 0.8) * counts[-1]
    middle = [level + excess / sum(counts[1:-1])] * (len(counts) - 2)
    return [0.0, *middle, min(level, 0.8)]


def erk(shapes, sparsity):
    """RigL: make the densest layers dense until the scale of the others fits."""
    counts = [math.prod(shape) for shape in shapes]
    raw = [sum(shape) / math.prod(shape) for shape in shapes]
    dense = set()
    while True:
        left = (1 - sparsity) * sum(counts) - sum(counts[i] for i in dense)
        others = [i for i in range(len(counts)) if i not in dense]
        scale = left / sum(raw[i] * counts[i] for i in others)
        top = max(raw[i] for i in others)
        if scale * top <= 1 + 1e-12:
            return [
                0.0 if i in dense else 1 - min(1.0, scale * raw[i])
                for i in range(len(counts))
            ]
        dense |= {i for i in others if raw[i] == top}


def igq(counts, sparsity):
    """Bisect the force with fifty digits."""
    with localcontext() as context:
        context.prec = 50
        goal = (1 - Decimal(sparsity)) * sum(counts)
        low, high = Decimal(-60), Decimal(60)
        for _ in range(160):
            middle = (low + high) / 2
            force = Decimal(10) ** middle
            if sum(n / (1 + force * n) for n in map(Decimal, counts)) > goal:
                low = middle
            else:
                high = middle
        return [float(force * n / (1 + force * n)) for n in map(Decimal, counts)]


def smart(shapes, sparsity, is_vgg):
    """Su et al.: a fixed density of linear layers, falling ones of convolutions."""
    n_layers = len(shapes)
    counts = [math.prod(shape) for shape in shapes]
    density = [0.3] * n_layers
    budget = (1 - sparsity) * sum(counts)
    raw = {}
    for place, shape in enumerate(shapes):
        if len(shape) == 2:
            budget -= 0.3 * counts[place]
        else:
            below = n_layers - place
            raw[place] = below**2 + below
            if is_vgg:
                raw[place] /= (place + 1) ** 2
    scale = budget / sum(value * counts[place] for place, value in raw.items())
    extra = 0.0
    for place, value in raw.items():
        kept = value * scale * counts[place] + extra
        extra = max(0.0, kept - counts[place])
        density[place] = min(kept, counts[place]) / counts[place]
    return [1 - d for d in density]


def merged_order(within, shapes, value):
    """Sort (value of the rule's parameter, layer, rank), with exact fractions.

    ``value(shape, count, middle)`` is where the rule has pruned ``middle`` of a layer.
    """
    entries, start = [], 0
    for layer, (ranks, shape) in enumerate(zip(within, shapes, strict=True)):
        count = math.prod(shape)
        for j in range(count):
            middle = Fraction(2 * j + 1, 2)
            entries.append(
                (value(shape, count, middle), layer, j, start + int(ranks[j]))
            )
        start += count
    return [entry[-1] for entry in sorted(entries)]


MERGE_VALUES = {
    "uniform": lambda shape, count, middle: middle / count,
    "igq": lambda shape, count, middle: middle / (count * (count - middle)),
    "erk": lambda shape, count, middle: -(count - middle) / sum(shape),
}


def borrowed_order(within, order_of_other, counts):
    """Replace the j-th weight of each layer in the other order by the layer's own."""
    ends = [sum(counts[: layer + 1]) for layer in range(len(counts))]
    used = [0] * len(counts)
    order = []
    for position in order_of_other:
        layer = next(i for i, end in enumerate(ends) if position < end)
        start = ends[layer] - counts[layer]
        order.append(start + int(within[layer][used[layer]]))
        used[layer] += 1
    return order
