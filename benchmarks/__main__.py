"""Run all benchmarks, or those named: ``python -m benchmarks networks``."""

import importlib
import sys

BENCHMARKS = (
    "networks",
    "sparsity",
    "sparsity_pruning",
    "data_pruning",
    "data_pruning_scale",
    "curvature",
    "continual_speed",
    "selection",
    "text_encoding",
    "artifacts",
)


def main():
    for name in sys.argv[1:] or BENCHMARKS:
        importlib.import_module(f"benchmarks.{name}").run()


if __name__ == "__main__":
    main()
