"""Makes the demo data sets dirty, with a seed and known truth.

python -m data.make_defects digits     data/digits/ (5,210 files) and data/digits_truth.parquet
python -m data.make_defects flights    data/flights/ (12 CSV files) and data/flights_truth.parquet

The truth lies beside the data, never inside it; no check and no policy reads it.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from data.image_defects import make_image_defects
from data.table_defects import make_table_defects

FOLDER = Path(__file__).parent
MAKERS = {"digits": make_image_defects, "flights": make_table_defects}


def main() -> None:
    """Write the data set named on the command line; what was there before is replaced."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(MAKERS))
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args()
    target = options.out / options.name
    if target.exists():
        shutil.rmtree(target)
    truth = MAKERS[options.name](target, options.seed)
    truth.write_parquet(options.out / f"{options.name}_truth.parquet")
    planted = truth.filter(truth["defect"] != "").height
    print(f"{target}: {planted:,} planted defects of {truth['defect'].n_unique() - 1} kinds")


if __name__ == "__main__":
    main()
