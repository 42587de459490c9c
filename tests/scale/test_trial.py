"""A few rounds of `python -m tests.scale.trial`."""

from pathlib import Path

import pytest

from tests.scale.milvus import Milvus
from tests.scale.nginx import nginx
from tests.scale.postgresql import Cluster, Missing
from tests.scale.trial import ReplicaTrial, replicas


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_replicas_lose_nothing_when_one_is_killed(
    tmp_path: Path, postgresql: Cluster, milvus_lite: Milvus
):
    with replicas(tmp_path, postgresql, milvus_lite) as pair:
        try:
            with nginx(tmp_path, [each.port for each in pair]) as balancer:
                trial = ReplicaTrial(tmp_path, seed=5, replicas=pair, balancer=balancer)
                trial.run(rounds=2)
        except Missing as missing:
            pytest.skip(str(missing))
    assert trial.faults == []
    assert trial.counts["kills"] == 2
    assert trial.counts["POST acknowledged"] >= 20
    assert trial.counts["searches"] > 0
