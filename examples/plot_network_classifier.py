"""
A torch network with scikit-learn habits
========================================

``NetworkClassifier`` trains a torch module through skorch and behaves like any
classifier of scikit-learn: pipelines, grid search, probabilities, pickling.
"""

# %%
# Ten lines to a trained network
# ------------------------------
# Rows are flattened 8 x 8 images with values from 0 to 16. ``input_shape`` folds them,
# ``input_scale`` brings them to [0, 1] batch by batch.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import GridSearchCV, train_test_split

from sklvyso import NetworkClassifier
from sklvyso.metrics import SCORERS, class_recalls

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.4, stratify=y, random_state=0
)
net = NetworkClassifier(
    "lenet-5",
    input_shape=(8, 8),
    input_scale=1 / 16,
    module_params={"padding": "same"},
    lr=3e-3,
    lr_schedule="cosine",
    batch_size=32,
    early_stopping=True,
    max_epochs=40,
    random_state=0,
).fit(X_train, y_train)
print(f"accuracy {net.score(X_test, y_test):.3f} after {net.n_iter_} epochs")

# %%
# A grid search over module and training
# --------------------------------------
# Parameters of the module are reached as ``module__<name>``. The search keeps what
# serves the worst class best.
search = GridSearchCV(
    net,
    {"module__pooling": ["average", "max"], "lr": [1e-3, 3e-3]},
    scoring=SCORERS,
    refit="worst_class_recall",
    cv=3,
    n_jobs=1,  # worker processes would import torch anew, longer than the fits take
).fit(X_train, y_train)
best = search.best_estimator_
recalls = class_recalls(y_test, best.predict(X_test))
print("best:", search.best_params_)
print(f"recall: average {recalls.mean():.3f}, worst class {recalls.min():.3f}")

# %%
# The course of the training, and who is taken for whom
# ------------------------------------------------------
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
epochs = np.arange(1, best.n_iter_ + 1)
left.plot(epochs, best.loss_curve_, label="training")
left.plot(epochs, [epoch["valid_loss"] for epoch in best.history_], label="validation")
left.set(xlabel="epoch", ylabel="cross-entropy", yscale="log")
left.legend()
ConfusionMatrixDisplay.from_estimator(best, X_test, y_test, ax=right, colorbar=False)
plt.show()

# %%
# The fitted skorch net is ``net_``, the torch module ``module_``: the tools of both
# worlds work on them.
print(best.module_)
