import sys
from dataclasses import replace

import pytest

from parallelbench.errors import UsageError
from parallelbench.runs.execute import run
from parallelbench.runs.plan import RunSettings
from parallelbench.runs.store import Store

SETTINGS = RunSettings(
    tasks=("copy", "shuffle", "sudoku"), methods=("random:k=4", "threshold:tau=0.9"), samples=3, grammar="none"
)


def test_without_ray_the_command_to_install_it_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "parallelbench.runs.cluster", raising=False)
    with pytest.raises(UsageError, match=r"The executor 'ray' needs: pip install 'parallelbench\[cluster\]'"):
        run(SETTINGS, tmp_path / "new", executor="ray")
    assert not (tmp_path / "new").exists()


@pytest.fixture(scope="module")
def cluster():
    """A cluster of two processes on this machine."""
    ray = pytest.importorskip("ray", reason="ray is not installed (extra 'cluster')")
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
    yield
    ray.shutdown()


def lanes(directory):
    with Store(directory) as store:
        found = {lane_id: store.lane(lane_id) for lane_id in store.frame()["lane_id"]}
    for lane in found.values():
        del lane["seconds"]
    return found


@pytest.mark.filterwarnings("default")  # ray's own
def test_a_cluster_finds_what_one_process_finds_and_goes_on_from_there(cluster, tmp_path):
    here = run(SETTINGS, tmp_path / "here")
    first = run(replace(SETTINGS, samples=1), tmp_path / "there")
    there = run(SETTINGS, tmp_path / "there", batch_size=3, executor="ray")
    assert (first.decoded, there.decoded, there.skipped) == (6, 12, 6)
    assert there.lanes == here.lanes and there.signature == here.signature
    assert first.cost.forwards_counted + there.cost.forwards_counted == here.cost.forwards_counted
    both = [lanes(tmp_path / name) for name in ("here", "there")]
    for lane in [lane for found in both for lane in found.values()]:
        del lane["run_id"]
    assert both[0] == both[1]


@pytest.mark.filterwarnings("default")
def test_a_refusal_on_the_cluster_is_the_same_sentence(cluster, tmp_path):
    with pytest.raises(UsageError, match="Unknown model 'idael'. Did you mean 'ideal'"):
        run(replace(SETTINGS, models=("idael",)), tmp_path / "new", executor="ray")
    assert not (tmp_path / "new").exists()
