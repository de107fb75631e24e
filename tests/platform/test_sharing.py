import os
import subprocess
import sys

import pytest

from deploy.local.places import REPOSITORY

WORKER = (
    "from deploy.local.testing import session_postgres\n"
    "with session_postgres() as postgres:\n"
    "    print(postgres.dsn, flush=True)\n"
    "    input()\n"
)


@pytest.mark.integration
def test_workers_of_one_session_share_a_server_that_outlives_the_first_of_them() -> None:
    kept = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER],
            cwd=REPOSITORY,
            env={**kept, "PYTEST_XDIST_WORKER": f"gw{number}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    addresses = []
    for worker in workers:
        assert worker.stdout is not None
        addresses.append(worker.stdout.readline().strip())
    for worker in workers:
        worker.communicate("\n", timeout=20)
    again = subprocess.run(
        [sys.executable, "-c", WORKER],
        cwd=REPOSITORY,
        env={**kept, "PYTEST_XDIST_WORKER": "gw0"},
        input="\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert addresses[0].startswith("postgresql://") and set(addresses) == {again.stdout.strip()}
