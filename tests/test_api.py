import subprocess
import sys

import pandas as pd
import pytest

import parallelbench
from parallelbench.errors import UsageError

LANES = {"methods": "confidence:k=8", "samples": 2, "grammar": "none"}


def test_run_gives_a_row_a_lane_and_resumes(tmp_path):
    frame = parallelbench.run(tmp_path / "run", tasks="copy", **LANES)
    assert isinstance(frame, pd.DataFrame) and list(frame.index) == [0, 1]
    assert set(frame["task"]) == {"waiting_line/copy"} and (frame["score"] == 1).all()
    more = parallelbench.run(str(tmp_path / "run"), tasks=["copy", "sudoku"], **LANES)
    assert len(more) == 4 and set(frame["lane_id"]) < set(more["lane_id"])
    kept = more.set_index("lane_id").loc[frame["lane_id"], "seconds"]
    assert list(kept) == list(frame["seconds"]), "known lanes were not decoded again"


def test_run_returns_only_what_was_asked_for(tmp_path):
    parallelbench.run(tmp_path, tasks=("copy", "sudoku"), **LANES)
    assert set(parallelbench.run(tmp_path, tasks="sudoku", **LANES)["task"]) == {"puzzle/sudoku"}


def test_a_task_loads_by_its_short_name():
    task = parallelbench.load_task("shuffle@n=5")
    sample = task.samples(0, 1)[0]
    assert len(sample.facts["items"]) == 5
    assert all(task.score(sample, text).strict == 1 for text, _ in list(task.support(sample))[:3])


def test_a_model_loads_by_its_name():
    assert parallelbench.load_model("ideal:noise=0").spec.name == "ideal:noise=0"


def test_misuse_is_told(tmp_path):
    with pytest.raises(UsageError, match="Unknown task 'copi'. Did you mean 'copy'"):
        parallelbench.run(tmp_path, tasks="copi")
    with pytest.raises(UsageError, match="missing: no such folder of published data"):
        parallelbench.run(tmp_path, data=str(tmp_path / "missing"))
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        parallelbench.runn  # noqa: B018


def test_importing_the_package_is_quick():
    code = "import sys, parallelbench; assert parallelbench.__version__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
