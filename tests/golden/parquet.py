"""Writes table-*.parquet and refused.parquet beside this script: what pyarrow makes of one table by each of its codecs, and types that are not read.

Made by pyarrow 26.0.1 (`pip install pyarrow`). The tests know the table (tests/parquet.rs).
"""

import datetime
import decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = Path(__file__).parent

table = pa.table({
    "flag": pa.array([True, False, True, True, False, True]),
    "small": pa.array([-3, 2, None, 5, 7, 11], pa.int8()),
    "large": pa.array([0, 1, 2, 2**64 - 1, 2**53, 5], pa.uint64()),
    "half_open": pa.array([0.1, -2.5, 3e38, 1e-45, 0.0, 6.0], pa.float32()),
    "real": pa.array([0.1, -2.5, 1e300, 5e-324, None, float("nan")], pa.float64()),
    "species": pa.array(["Adelie", "Chin, \"strap\"", "Adelie", None, "Gentoo", ""]),
    "size": pa.array(["S", "M", "S", "L", "M", "S"]).dictionary_encode(),
    "count": pa.array([10, 20, 30, 40, 50, 60], pa.int64()),
})

small = {"write_statistics": False, "store_schema": False}
for codec in ["none", "snappy", "gzip", "brotli", "lz4", "zstd"]:
    pq.write_table(table, FOLDER / f"table-{codec}.parquet", compression=codec, **small)

# Pages of version 2, several row groups and pages, and every encoding of its own.
encodings = {
    "flag": "RLE", "small": "DELTA_BINARY_PACKED", "large": "DELTA_BINARY_PACKED", "half_open": "BYTE_STREAM_SPLIT",
    "real": "BYTE_STREAM_SPLIT", "species": "DELTA_LENGTH_BYTE_ARRAY", "size": "PLAIN", "count": "PLAIN",
}
pq.write_table(
    table, FOLDER / "table-pages.parquet", compression="snappy", data_page_version="2.0", use_dictionary=False,
    column_encoding=encodings, row_group_size=4, data_page_size=16, write_page_checksum=True, **small,
)

refused = pa.table({
    "x": pa.array([1.0, 2.0]),
    "when": pa.array([datetime.datetime(2026, 1, 1), datetime.datetime(2026, 1, 2)]),
    "day": pa.array([datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)]),
    "price": pa.array([decimal.Decimal("1.50"), decimal.Decimal("2.25")], pa.decimal128(9, 2)),
    "list": pa.array([[1.0], [2.0, 3.0]]),
    "pair": pa.array([{"a": 1, "b": 2}, {"a": 3, "b": 4}]),
    "raw": pa.array([b"\xff", b"\x00"]),
    "low": pa.array([1.0, 2.0], pa.float16()),
})
pq.write_table(refused, FOLDER / "refused.parquet", compression="none", **small)
