"""
Where is the Goldilocks zone?
=============================

At a random initialisation the loss of a network curves upwards in far more directions
than downwards, but only within a range of scales of the weights: the Goldilocks zone.
``GoldilocksProbe`` multiplies the weights by a range of factors, measures the positive
curvature of the Hessian (trace over Frobenius norm) at each, and marks the zone.
Nothing is trained.
"""

# %%
# A network without biases, on the digits
# ---------------------------------------
# Three layers of ReLU without biases: multiplying the weights by ``a`` multiplies the
# logits by ``a ** 3``.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklvyso import GoldilocksProbe, NetworkClassifier
from sklvyso.plotting import CurvatureDisplay

X, y = load_digits(return_X_y=True)
network = NetworkClassifier(
    hidden_layer_sizes=(64, 32),
    module_params={"bias": False, "initialization": "kaiming_normal"},
    input_scale=1 / 16,
)
scales = np.logspace(-2, 2, 17)
probe = GoldilocksProbe(
    network, scales=scales, n_samples=256, n_init=3, n_eigenvalues=1, random_state=0
)
probe.fit(X, y)
print("zone:", probe.zone_, " largest curvature at scale", probe.best_scale_)
print("homogeneous of degree", probe.degree_, " exact trace:", probe.is_exact_trace_)

# %%
# The Hessian is the sum of a Gauss-Newton part G, which is positive semi-definite, and
# a rest F whose positive and negative curvature balance. To the left of the zone F is
# the larger of the two, since the logits and their gradients vanish; to the right the
# softmax saturates, and G dies.
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
CurvatureDisplay.from_estimator(probe, ax=left)
for part, label in (("g", "Gauss-Newton part"), ("f", "rest")):
    right.plot(scales, probe.results_[f"spectral_norm_{part}"], ".-", label=label)
right.set_xscale("log")
right.set_yscale("log")
right.set_ylim(1e-8, 1e5)
right.set_xlabel("scale")
right.set_ylabel("largest absolute eigenvalue")
right.legend(frameon=False)
right.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Scale or temperature
# --------------------
# For such a network a temperature of ``a ** -3`` in the softmax has the same curvature
# as scale ``a``: the zone is no property of the size of the weights alone.
heat = GoldilocksProbe(
    network,
    scales=scales**-3.0,
    scale_by="temperature",
    n_samples=256,
    n_init=3,
    random_state=0,
).fit(X, y)
difference = np.nanmax(abs(heat.curvature_[::-1] - probe.curvature_))
print(f"largest difference of the two sweeps: {difference:.1e}")
