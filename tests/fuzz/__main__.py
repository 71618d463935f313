"""Try every variant on every argument: ``python -m tests.fuzz [room[.name] ...]``."""

import collections
import os
import sys
import tempfile
import time

import matplotlib
import torch

from tests.fuzz.registry import ROOMS, cases_of
from tests.fuzz.trial import COUNTS, exhaust


def main(wanted):
    matplotlib.use("Agg")
    torch.set_num_threads(1)
    findings = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ |= {"HOME": folder, "SKLVYSO_DATA": os.path.join(folder, "data")}
        for room in ROOMS:
            if wanted and not any(w.split(".")[0] == room for w in wanted):
                continue
            for case in cases_of(room):
                if wanted and not any(case.id.startswith(w) for w in wanted):
                    continue
                start, before = time.time(), COUNTS[room]
                for name, variant, finding in exhaust(case):
                    if finding is not None:
                        findings[case.id, finding].append(f"{name}={variant}")
                        if "-v" in sys.argv:
                            print(case.id, name, variant, finding, flush=True)
                print(
                    f"{case.id}: {COUNTS[room] - before} inputs, "
                    f"{time.time() - start:.1f} s",
                    file=sys.stderr,
                    flush=True,
                )
    # One line of the package with one kind of error is one finding.
    places = collections.defaultdict(list)
    for (name, finding), inputs in findings.items():
        text, _, place = finding.rpartition(" at ")
        key = (place, text.split(":")[0]) if text else (finding, "")
        places[key] += [f"{name}({i}): {finding[:150]}" for i in inputs]
    for (place, kind), inputs in sorted(places.items()):
        print(f"{place} {kind}: {len(inputs)}")
        for text in inputs[: 40 if "-a" in sys.argv else 4]:
            print(f"    {text}")
    print({**COUNTS}, "inputs;", sum(map(len, findings.values())), "findings")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main([word for word in sys.argv[1:] if not word.startswith("-")]))
