"""Writes stored.npz and deflated.npz, beside this file, for the tests of src/data/npz.rs: `pip install numpy`."""

from pathlib import Path

import numpy

HERE = Path(__file__).parent
arrays = {"a": numpy.array([[1.0, 2.0], [3.0, 4.0]]), "b": numpy.array([5, 6], "<i2")}
numpy.savez(HERE / "stored.npz", **arrays)
numpy.savez_compressed(HERE / "deflated.npz", **arrays)
