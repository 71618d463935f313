"""FrameStreamDetector: frames in order, judged together."""

# Authors: The sklvyso developers
# SPDX-License-Identifier: BSD-3-Clause

from sklearn.base import BaseEstimator


class FrameStreamDetector(BaseEstimator):
    """To be written."""
