"""Run the command line: ``python -m sklvyso.artifacts scan --help``."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

import sys

from sklvyso.artifacts._scan import main

if __name__ == "__main__":
    sys.exit(main())
