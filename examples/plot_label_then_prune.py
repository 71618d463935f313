"""
Label few, then train on fewer
==============================

Active learning asks for the labels that teach most; data pruning keeps the rows that
the worst class needs. One after the other: a campaign collects labels, and DRoP decides
with how many of them each class goes into the final, dearer model.
"""

# %%
# A campaign
# ----------
# Handwritten digits wait for labels, some classes twelve times as often as others. A
# round asks for those that a light classifier is unsure of and that differ from each
# other.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklvyso import DRoPSampler, NetworkClassifier, PretrainedActiveLearner
from sklvyso.datasets import make_long_tailed
from sklvyso.metrics import class_recalls

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(
    X, y, train_size=1200, stratify=y, random_state=0
)
X, y, _ = make_long_tailed(X, y, imbalance_factor=12)


def acquire(strategy, seed, n_labels=200):
    """Return the rows whose labels a campaign asks for."""
    campaign = PretrainedActiveLearner(
        strategy=strategy, n_initial=20, batch_size=20, random_state=seed
    ).fit(X)
    while len(campaign.labeled_indices_) < n_labels:
        rows = campaign.query()
        campaign.teach(rows, y[rows])
    return campaign.labeled_indices_


rows = {
    name: [acquire(name, seed) for seed in range(3)] for name in ("random", "badge")
}
print("labels of each class, of", np.bincount(y))
for name, found in rows.items():
    print(f"{name:<8}", np.mean([np.bincount(y[r], minlength=10) for r in found], 0))

# %%
# Rare classes are rare among labels that were drawn; those that were asked for hold
# more of them, since that is where the light classifier is in doubt.
#
# Fewer rows for the final model
# ------------------------------
# Sixty per cent of the acquired rows train the final network: a random part, or the
# part that DRoP's quotas leave.


def recalls_of(rows, quota, seed):
    """Train the final model on what a quota leaves of the rows."""
    sampler = DRoPSampler(density=0.6, quota=quota, random_state=seed)
    X_kept, y_kept = sampler.fit_resample(X[rows], y[rows])
    network = NetworkClassifier(
        input_scale=1 / 16, batch_size=16, max_epochs=40, random_state=seed
    )
    predicted = network.fit(X_kept, y_kept).predict(X_test)
    return class_recalls(y_test, predicted, labels=range(10))


_, ax = plt.subplots(figsize=(8, 4), layout="constrained")
print(f"{'labels':<8} {'rows':<8} average  worst class")
for name, found in rows.items():
    for quota in ("uniform", "drop"):
        recalls = [recalls_of(r, quota, seed) for seed, r in enumerate(found)]
        average, worst = np.mean(recalls), np.mean(np.min(recalls, axis=1))
        print(f"{name:<8} {quota:<8} {average:7.3f} {worst:12.3f}")
        label = f"{name} labels, {quota} rows"
        ax.plot(np.mean(recalls, axis=0), "o-", label=label)
ax.set(xlabel="class, from frequent to rare", ylabel="test recall")
ax.legend(frameon=False)
plt.show()
