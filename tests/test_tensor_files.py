"""Arrays in safetensors files: what dtypes they may have, and that others are refused by name."""

import os
import re

import numpy as np
import pytest
from safetensors.numpy import load_file

from numbabp.tensor_files import TENSOR_DTYPES, read_tensors, write_tensors


@pytest.mark.parametrize("dtype", TENSOR_DTYPES)
def test_each_dtype_comes_back(tmp_path, dtype):
    arrays = {
        "a": np.array([[0, 1, 1], [1, 0, 1]], dtype),
        "one": np.array(1, dtype),
        "no": np.empty(0, dtype),
    }
    write_tensors(tmp_path / "file", {"is": "text"}, arrays)
    strings, found = read_tensors(tmp_path / "file", lambda strings: None)
    assert strings["is"] == "text"
    for name, array in arrays.items():
        for other in (found, load_file(tmp_path / "file")):
            assert other[name].dtype == array.dtype
            assert other[name].tobytes() == array.tobytes()
            assert other[name].shape == array.shape


@pytest.mark.parametrize("dtype", ["float16", "int32", ">f8", "complex128", "U3", "datetime64[s]", "O"])
def test_another_dtype_is_refused_by_name(tmp_path, dtype):
    array = np.zeros(2, dtype)
    message = f"array 'odd' is of dtype {np.dtype(dtype).str!r}; files hold bool"
    with pytest.raises(TypeError, match=re.escape(message)):
        write_tensors(tmp_path / "file", {}, {"good": np.zeros(2), "odd": array})
    assert os.listdir(tmp_path) == []


def test_a_boolean_is_0_or_1(tmp_path):
    path = tmp_path / "file"
    write_tensors(path, {}, {"b": np.array([True, False])})
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"\x02")
    with pytest.raises(ValueError, match="neither 0 nor 1"):
        read_tensors(path, lambda strings: None)
