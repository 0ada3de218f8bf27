import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `import proxy`
sys.path.insert(0, str(Path(__file__).parents[1] / "families"))  # for `import reference`
