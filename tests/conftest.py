"""Settings shared by all tests."""

import contextlib
import os

import joblib
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


@pytest.fixture(scope="session")
def dask_client():
    """Client of two worker processes on this machine."""
    distributed = pytest.importorskip(
        "distributed", reason="needs dask.distributed, of the extra 'distributed'"
    )
    # Any free port for the status page: several test runs may have clusters.
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    )
    with cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture(params=["loky", "dask"])
def two_workers(request):
    """Return a context manager: joblib's jobs run in two other processes."""
    backend = request.param
    if backend == "dask":
        client = request.getfixturevalue("dask_client")

    @contextlib.contextmanager
    def spread():
        # One thread a worker, as in this process: more would round differently.
        options = {} if backend == "dask" else {"inner_max_num_threads": 1}
        if backend == "dask":
            before = client.cluster.scheduler.transition_counter
        with joblib.parallel_config(backend, n_jobs=2, **options):
            yield
        if backend == "dask":
            assert client.cluster.scheduler.transition_counter > before, (
                "nothing ran on the cluster"
            )

    return spread
