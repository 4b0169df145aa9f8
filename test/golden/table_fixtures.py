"""Writes test/data/fixtures/iris.csv and iris.parquet: a few flowers as tables, in two groups of rows.

Run: python test/golden/table_fixtures.py   (needs pyarrow)
"""

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = pathlib.Path(__file__).parent.parent / "data" / "fixtures"
names = ["sepal_length", "sepal_width", "petal_length", "petal_width", "species"]
rows = [
    [5.1, 3.5, 1.4, 0.2, "setosa"],
    [4.9, 3.0, 1.4, 0.2, "setosa"],
    [7.0, 3.2, 4.7, 1.4, "versicolor"],
    [6.4, 3.2, 4.5, 1.5, "versicolor"],
    [6.3, 3.3, 6.0, 2.5, "virginica"],
    [5.8, 2.7, 5.1, 1.9, "virginica"],
    [7.1, 3.0, 5.9, 2.1, "virginica"],
]
lines = [",".join(names)] + [",".join(str(cell) for cell in row) for row in rows]
(FOLDER / "iris.csv").write_text("\n".join(lines) + "\n")
columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
columns["count"] = pa.array(range(7), pa.int64())
columns["large"] = pa.array([i > 4 for i in range(7)])
columns["holes"] = pa.array([1.0, 2.0, None, 4.0, 5.0, 6.0, 7.0])
pq.write_table(pa.table(columns), FOLDER / "iris.parquet", row_group_size=4, compression="snappy")
