"""
Why DRoP helps the worst class: two Gaussians
=============================================

A model that minimises the average error sacrifices the class that is harder to get
right. Which class pays, and by how much, depends on how many rows each class has, and
pruning changes that. For two Gaussian classes on a line and the rule "predict 1 if
x > t" everything can be computed: the threshold that a learner chooses before and after
pruning, and the one that would be best for the worse class.
"""

# %%
# A narrow and a wide class
# -------------------------
# Class 1 is twice as wide as class 0; there are as many rows of each. The learner's
# threshold cuts off more of the wide class. Thresholds are equally good for both
# classes when the narrow one has half as many rows. DRoP does not know the widths: it
# goes by the errors alone, and lands near that ratio, a little beyond.
import matplotlib.pyplot as plt
import numpy as np

from sklvyso.data_pruning import (
    drop_prior_ratio,
    drop_quotas,
    gaussian_mixture_risks,
    gaussian_mixture_threshold,
    optimal_prior_ratio,
)

mu, sigma, equal = (-1.0, 1.0), (0.5, 1.0), (0.5, 0.5)


def priors_of(ratio):
    return ratio / (1 + ratio), 1 / (1 + ratio)


priors = {
    "full or random": equal,
    "DRoP": priors_of(drop_prior_ratio(mu, sigma, equal)),
    "optimal": priors_of(optimal_prior_ratio(sigma)),
}
thresholds = {
    name: gaussian_mixture_threshold(mu, sigma, shares)
    for name, shares in priors.items()
}
print(f"{'rows':<16}{'class 0':>9}{'threshold':>11}{'R0':>8}{'R1':>8}{'worst':>8}")
for name, cut in thresholds.items():
    risks = gaussian_mixture_risks(cut, mu, sigma)
    numbers = "".join(f"{risk:>8.4f}" for risk in (*risks, max(risks)))
    print(f"{name:<16}{priors[name][0]:>9.3f}{cut:>11.4f}{numbers}")

# %%
# The same with rows
# ------------------
# Twenty samples of 20 000 rows a class. The learner takes the threshold with the fewest
# errors on the rows that it is given. *Prototype* pruning, a score-based rule, removes
# rows within 0.4 of the mean of their class. The other rules keep as many rows in all
# and draw at random within each class: *random* the same fraction of both, *random,
# same counts* as many of each class as prototype pruning, and DRoP what ``drop_quotas``
# says, from recalls on a second sample.
n_rows, n_seeds = 20_000, 20


def learn(rows_0, rows_1):
    """Return the threshold of fewest errors."""
    x = np.concatenate([rows_0, rows_1])
    order = np.argsort(x)
    excess = np.cumsum(np.where(order < len(rows_0), -1, 1))
    return x[order[np.argmin(excess)]]


def draw(rng):
    return [rng.normal(m, s, n_rows) for m, s in zip(mu, sigma, strict=True)]


def thin(classes, quotas):
    """Keep the first rows of each class; their order is random already."""
    return [rows[:quota] for rows, quota in zip(classes, quotas, strict=True)]


rules = ("full data", "random", "prototype", "random, same counts", "DRoP")
learned = {rule: np.zeros(n_seeds) for rule in rules}
for seed in range(n_seeds):
    rng = np.random.RandomState(seed)
    classes, validation = draw(rng), draw(rng)
    far = [rows[np.abs(rows - m) > 0.4] for rows, m in zip(classes, mu, strict=True)]
    counts = [len(rows) for rows in far]
    cut = learn(*classes)
    recalls = [np.mean(validation[0] <= cut), np.mean(validation[1] > cut)]
    quotas = drop_quotas(recalls, [n_rows, n_rows], sum(counts))
    kept = {
        "full data": classes,
        "random": thin(classes, [sum(counts) // 2] * 2),
        "prototype": far,
        "random, same counts": thin(classes, counts),
        "DRoP": thin(classes, quotas),
    }
    for rule, rows in kept.items():
        learned[rule][seed] = learn(*rows)

print(f"\nprototype pruning keeps {counts[0]} and {counts[1]} rows, DRoP {quotas}")
for rule, cuts in learned.items():
    worst = np.maximum(*gaussian_mixture_risks(cuts, mu, sigma)).mean()
    print(f"{rule:<22}threshold {cuts.mean():+.3f}, worst-class risk {worst:.4f}")

# %%
# Not always
# ----------
# 64 mixtures drawn at random of which the average risk has a finite minimum. They are
# split by the distance of the means: one sum of the two deviations apart, the best
# possible risk of the worse class is 0.16.


def worst_risk(mu, sigma, priors):
    """Return the worst-class risk of the learner; 1 if it predicts one class always."""
    cut = gaussian_mixture_threshold(mu, sigma, priors, global_minimum=True)
    return max(gaussian_mixture_risks(cut, mu, sigma))


rng = np.random.RandomState(0)
before, after, apart = [], [], []
while len(before) < 64:
    distance, first, *widths = rng.uniform([0.5, 0.1, 0.5, 0.5], [4, 0.9, 2, 2])
    means, shares = (0, distance), (first, 1 - first)
    if worst_risk(means, widths, shares) == 1:
        continue
    before.append(worst_risk(means, widths, shares))
    ratio = drop_prior_ratio(means, widths, shares)
    after.append(worst_risk(means, widths, priors_of(ratio)))
    apart.append(distance > sum(widths))
before, after, apart = np.array(before), np.array(after), np.array(apart)
print(f"\nDRoP lowers the worst-class risk in {(after < before).sum()} of 64 mixtures:")
for name, group in {"apart": apart, "overlapping": ~apart}.items():
    print(
        f"{(after < before)[group].sum()} of {group.sum()} {name}, median risk "
        f"{np.median(before[group]):.3f} -> {np.median(after[group]):.3f}, one class "
        f"given up in {(after[group] == 1).sum()}"
    )

# %%
# The figure
# ----------
# Left: dots are the minima of the average risk, crosses the worst-class risk there.
# Right: a small dot is a sample, a diamond the mean, a line the threshold in theory.
colors = {"full or random": "tab:gray", "DRoP": "tab:green", "optimal": "tab:purple"}
figure, (left, right) = plt.subplots(
    1, 2, figsize=(10.5, 4.4), layout="constrained", width_ratios=(1.15, 1)
)
grid = np.linspace(-0.9, 0.35, 300)
risk_0, risk_1 = gaussian_mixture_risks(grid, mu, sigma)
left.plot(grid, np.maximum(risk_0, risk_1), color="0.88", linewidth=7, zorder=0)
left.plot(grid, risk_0, color="tab:blue", linewidth=1)
left.plot(grid, risk_1, color="tab:orange", linewidth=1)
left.text(0.08, 0.03, "class 0", color="tab:blue")
left.text(-0.87, 0.045, "class 1", color="tab:orange")
sides = {"full or random": "left", "DRoP": "right", "optimal": "left"}
for name, cut in thresholds.items():
    color, shares = colors[name], np.array(priors[name])
    average = shares @ gaussian_mixture_risks(grid, mu, sigma)
    left.plot(grid, average, "--", color=color, label=f"average, {name}")
    left.plot(cut, shares @ gaussian_mixture_risks(cut, mu, sigma), "o", color=color)
    worst = max(gaussian_mixture_risks(cut, mu, sigma))
    left.plot(cut, worst, "X", color=color, markersize=9)
    for axis in (left, right):
        axis.axvline(cut, color=color, linewidth=1, linestyle=":", zorder=0)
    right.annotate(
        name,
        (cut, -0.6),
        xytext=(4 if sides[name] == "left" else -4, 0),
        textcoords="offset points",
        color=color,
        ha=sides[name],
        va="center",
    )
left.set(ylim=(0, 0.3), xlim=grid[[0, -1]], xlabel="threshold", ylabel="risk")
left.legend(loc="upper center", bbox_to_anchor=(0.58, 1), framealpha=1, edgecolor="w")
left.set_title("Risk of both classes (band: the worse), average risk")

for place, (rule, cuts) in enumerate(learned.items()):
    color = "tab:green" if rule == "DRoP" else "tab:gray"
    right.plot(cuts, np.full(n_seeds, place), ".", color=color, alpha=0.5)
    right.plot(cuts.mean(), place, "D", color=color, markeredgecolor="black")
right.set_yticks(range(len(rules)), rules)
right.set(ylim=(len(rules) - 0.4, -1), xlim=(-0.52, -0.03))
right.set(xlabel="threshold", title="Learned from samples")
plt.show()

# %%
# Removing the rows near the class means changes the class counts, and yet the threshold
# stays: the rows that decide are all still there. The same numbers of rows drawn at
# random move it. This is why DRoP prunes at random within a class. From errors alone it
# finds most of the way to the optimum; here it overshoots, so that the other class
# becomes the worse one, at a lower risk than before. Its threshold varies more from
# sample to sample, since recalls are measured.
#
# There is no theorem that DRoP always helps. It does in most mixtures whose classes can
# be told apart. Where they overlap, the learner gives up one of them nearly altogether,
# the ratio of the errors is extreme, and DRoP makes it give up the other: the
# worst-class risk rises more often than it falls. ``DRoPSampler`` tempers the quotas
# with ``uniform_mix``; compare it with ``quota="uniform"`` on validation rows.
