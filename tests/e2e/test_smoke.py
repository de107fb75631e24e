"""The main job, from a clone's own `make run` to a mail and a signed webhook."""

from pathlib import Path

import pytest

from deploy.local.smoke import prove

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
# The limits of `make smoke` hold for a machine at rest; here other tests run beside it.
WITHIN_SECONDS = 10.0


def test_an_illness_posted_over_http_ends_as_a_mail_and_a_signed_webhook_and_nothing_is_left_behind(
    tmp_path: Path,
) -> None:
    proof = prove(tmp_path / "run")
    assert [line.name for line in proof.lines] == ["to 202", "to red", "to receipt (mail)", "to receipt (webhook)"]
    assert all(0 < line.slowest_seconds < WITHIN_SECONDS for line in proof.lines), proof.lines
    assert proof.left_behind == []
    assert not (tmp_path / "run").exists()
