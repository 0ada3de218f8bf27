import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `import reference`
if importlib.util.find_spec("transformers") is None:  # the extra [models] is not installed
    collect_ignore_glob = ["test_*.py"]
