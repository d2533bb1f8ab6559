"""Print cleanvision's blur score of each picture in a folder as JSON. Runs in the rival's Python.

Usage: PYTHON bench/rival_blur.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cleanvision import Imagelab

if __name__ == "__main__":
    lab = Imagelab(data_path=sys.argv[1], verbose=False)
    lab.find_issues({"blurry": {}}, n_jobs=1, verbose=False)
    scores = lab.issues["blurry_score"]
    print(json.dumps({Path(name).name: float(score) for name, score in scores.items()}))
