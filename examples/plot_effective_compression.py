"""
How small is a pruned network, really?
======================================

A pruner that keeps one weight in a hundred reports a compression of 100. But a kept
weight through which no signal passes, because nothing leads to it or it leads nowhere,
is stored for nothing. ``sparsity_report`` counts the weights that lie on a way from an
input to an output: their share is the *effective* compression.
"""

# %%
# Five pruners, eight compressions, no training
# ---------------------------------------------
# LeNet-300-100 for images of 28x28 pixels, 266,200 weights. SNIP needs data; here it
# gets digits, enlarged. The others need none.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

from sklvyso.networks import make_network, torch_seed
from sklvyso.plotting import SparsityDisplay
from sklvyso.sparsity import prune_module, sparsity_report

images, labels = load_digits(return_X_y=True)
images = torch.from_numpy(images.reshape(-1, 1, 8, 8) / 16).float()
images = torch.nn.functional.interpolate(images, size=(28, 28), mode="bilinear")

shape = (1, 28, 28)
with torch_seed(0):
    net = make_network("lenet-300-100", shape, 10, initialization="variance_scaling")
pruners = {
    "random, uniform": {"method": "random", "quota": "uniform"},
    "random, ERK": {"method": "random", "quota": "erk"},
    "random, IGQ": {"method": "random", "quota": "igq"},
    "SNIP": {"method": "snip", "X": images, "y": labels},
    "SynFlow": {"method": "synflow"},
}
compressions = 10.0 ** np.arange(0.5, 4.1, 0.5)
curves = {}
for name, settings in pruners.items():
    reports = []
    for compression in compressions:
        masks = prune_module(
            net,
            sparsity=1 - 1 / compression,
            target="direct",
            input_shape=shape,
            random_state=0,
            **settings,
        )
        reports.append(sparsity_report(net, masks, shape))
    curves[name] = (
        [report.direct_compression for report in reports],
        [report.effective_compression for report in reports],
    )

print("effective compression by direct compression")
print(f"{'':<16}" + "".join(f"{c:>9.4g}" for c in compressions))
for name, (_, effective) in curves.items():
    print(f"{name:<16}" + "".join(f"{c:>9.4g}" for c in effective))

SparsityDisplay.from_curves(curves)

# %%
# Up to a compression of ten there is no difference. At 100, uniform random pruning has
# really compressed a thousandfold: nine in ten of the weights that it keeps do nothing.
# A comparison of pruners at equal *direct* compression compares networks of quite
# different sizes.

# %%
# Where the weights die
# ---------------------
# The report has a row for each layer. Uniform pruning at a compression of 100 leaves
# ten weights of the last layer, fewer than the classes need, and all units of the
# hidden layers that none of the ten reads are dead.
masks = prune_module(
    net,
    "random",
    quota="uniform",
    sparsity=0.99,
    target="direct",
    input_shape=shape,
    random_state=0,
)
report = sparsity_report(net, masks, shape)
print(report)
SparsityDisplay.from_report(report)
plt.show()

# %%
# The way out is to aim at the effective compression: ``target="effective"`` (the
# default of ``prune_module`` and of ``EffectiveSparsityPruner``) prunes exactly as far
# as the true budget allows.
masks = prune_module(
    net, "random", quota="uniform", sparsity=0.99, input_shape=shape, random_state=0
)
print(sparsity_report(net, masks, shape))
