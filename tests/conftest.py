"""Settings shared by all tests."""

import os

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_home():
    """Folder with real data; tests that need it skip without it."""
    home = os.environ.get("SKLVYSO_DATA")
    if not home or not os.path.isdir(home):
        pytest.skip("needs real data: set SKLVYSO_DATA to the folder that holds them")
    return home
