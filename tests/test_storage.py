"""Files: bit for bit there and back, and nothing but ValueError from files that are not whole."""

import json
import os
import struct

import numpy as np
import pytest

import numbabp as nbp
from numbabp.storage import load_metadata, save, write_atomically


def small_network(dtype="float64"):
    return nbp.Network(
        (3, 4, 2),
        hidden_activation="tanh",
        loss="categorical_cross_entropy",
        init="glorot_normal",
        dtype=dtype,
        random_state=1,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_round_trip_is_bit_for_bit(tmp_path, dtype):
    network = small_network(dtype)
    odd = [-0.0, np.nan, np.inf, -np.inf, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max]
    network.parameters[: len(odd)] = odd
    network.save(tmp_path / "net.safetensors")
    loaded = nbp.load(tmp_path / "net.safetensors")
    assert loaded.parameters.tobytes() == network.parameters.tobytes()
    for name in ("layer_sizes", "activations", "loss", "init", "dtype"):
        assert getattr(loaded, name) == getattr(network, name)


def test_loaded_network_goes_on_training(tmp_path):
    network = small_network()
    network.save(tmp_path / "net")
    twin = nbp.load(tmp_path / "net")
    X, y = np.random.RandomState(0).standard_normal((20, 3)), np.arange(20) % 2
    for net in (network, twin):
        net.fit(X, y, epochs=3, random_state=5)
    assert np.array_equal(network.parameters, twin.parameters)


def test_metadata(tmp_path):
    save(small_network(), tmp_path / "net", {"classes": ["a", "é"], "n": 3})
    assert load_metadata(tmp_path / "net") == {"classes": ["a", "é"], "n": 3}


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        nbp.load(tmp_path / "absent")


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "net"
    small_network().save(path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="net: "):
            nbp.load(path)


def test_altered_bytes_are_refused_or_harmless(tmp_path):
    path = tmp_path / "net"
    network = small_network()
    network.save(path)
    whole = path.read_bytes()
    n_header = 8 + struct.unpack("<Q", whole[:8])[0]
    refused = 0
    for position in range(n_header):
        for flip in (0x01, 0x10, 0x80, 0xFF):
            altered = bytearray(whole)
            altered[position] ^= flip
            path.write_bytes(altered)
            try:
                loaded = nbp.load(path)
            except ValueError as error:
                assert str(path) in str(error)
                refused += 1
            else:
                assert loaded.layer_sizes == network.layer_sizes
    assert refused > n_header  # most alterations of the header can't go unnoticed


def hostile(path, header, data=b""):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def header_of(sizes, **changes):
    architecture = {
        "layer_sizes": sizes,
        "activations": ["sigmoid"],
        "loss": "binary_cross_entropy",
        "init": "zeros",
        "dtype": "float64",
        **changes,
    }
    return {
        "__metadata__": {
            "format": "numbabp-network",
            "version": "1",
            "architecture": json.dumps(architecture),
            "metadata": "{}",
        },
        "layers.0.weights": {"dtype": "F64", "shape": [1, 1], "data_offsets": [0, 8]},
        "layers.0.biases": {"dtype": "F64", "shape": [1], "data_offsets": [8, 16]},
    }


def test_the_hostile_files_below_differ_from_a_good_one_in_one_thing(tmp_path):
    hostile(tmp_path / "net", header_of([1, 1]), bytes(16))
    assert nbp.load(tmp_path / "net").layer_sizes == (1, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"layer_sizes": [10**9, 10**9]},
        {"layer_sizes": [1, 10**12, 1]},
        {"layer_sizes": [-1, 1]},
        {"layer_sizes": [1.0, 1]},
        {"layer_sizes": [True, 1]},
        {"layer_sizes": "ab"},
        {"layer_sizes": None},
        {"layer_sizes": []},
        {"dtype": "object"},
        {"dtype": ["float64"]},
        {"dtype": "float32"},
        {"activations": []},
        {"activations": ["softmax", "sigmoid"]},
        {"activations": "sigmoid"},
        {"activations": {"a": 1}},
        {"loss": "__import__('os')"},
        {"loss": 3},
        {"init": "nothing"},
    ],
)
def test_hostile_architectures_are_refused(tmp_path, changes):
    path = tmp_path / "net"
    hostile(path, header_of([1, 1], **changes), bytes(16))
    with pytest.raises(ValueError, match="net: "):
        nbp.load(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "net"
    hostile(path, {"x": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}}, bytes(8))
    with pytest.raises(ValueError, match="not a network of numbabp"):
        nbp.load(path)
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        nbp.load(path)
    with pytest.raises((ValueError, OSError)):
        nbp.load(tmp_path)


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "net"
    small_network().save(path)
    before = path.read_bytes()

    def fail(file):
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["net"]
