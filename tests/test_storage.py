"""Files: bit for bit there and back, and nothing but ValueError from files that are not whole."""

import copy
import hashlib
import json
import os
import pickle
import struct
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import load_file

import numbabp as nbp
from numbabp import storage
from numbabp.atomic_files import write_atomically
from numbabp.loading import load_metadata, load_with_metadata, save


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
    odd = [-0.0, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max]
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


def test_the_level_of_a_quantile_is_kept(tmp_path):
    network = nbp.Network((3, 4, 1), loss="quantile", quantile=0.9, random_state=0)
    population = nbp.Population((3, 4, 1), 2, loss="quantile", quantile=0.9, random_state=0)
    for subject, load in ((network, nbp.load), (population, nbp.Population.load)):
        subject.save(tmp_path / "of")
        for twin in (load(tmp_path / "of"), pickle.loads(pickle.dumps(subject))):
            assert (twin.loss, twin.quantile) == ("quantile", 0.9)
            assert twin.architecture == subject.architecture
    assert population[1].quantile == network.astype("float32").quantile == 0.9


def trained(update_rule, **options):
    """A network after three epochs, and the samples."""
    X, y = np.random.RandomState(0).standard_normal((20, 3)), np.arange(20) % 2
    network = small_network()
    network.fit(X, y, epochs=3, update_rule=update_rule, learning_rate=0.01, **options)
    return network, X, y


@pytest.mark.parametrize("how", ["load", "pickle", "deepcopy"])
@pytest.mark.parametrize("update_rule", ["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw", "rprop"])
def test_training_goes_on_as_if_never_saved(tmp_path, how, update_rule):
    options = {"batch_size": 20} if update_rule == "rprop" else {}
    network, X, y = trained(update_rule, **options)
    if how == "load":
        network.save(tmp_path / "net")
        twin = nbp.load(tmp_path / "net")
    else:
        twin = copy.deepcopy(network) if how == "deepcopy" else pickle.loads(pickle.dumps(network))
    assert twin.history.to_dict() == network.history.to_dict()
    for net in (network, twin):
        net.fit(X, y, epochs=3, update_rule=update_rule, learning_rate=0.01, **options)
        net.fit(X, y, epochs=2)
    assert network.parameters.tobytes() == twin.parameters.tobytes()
    assert network.random_state.randint(2**31) == twin.random_state.randint(2**31)


@pytest.mark.parametrize("update_rule", ["adam", "momentum"])
@pytest.mark.parametrize("batch_size", [1, 7])
def test_a_copy_made_by_a_callback_has_the_rules_whole_state(update_rule, batch_size):
    options = {"update_rule": update_rule, "learning_rate": 0.01, "batch_size": batch_size, "shuffle": False}
    X, y = np.random.RandomState(0).standard_normal((20, 3)), np.arange(20) % 2
    network, copies = small_network(), []
    network.fit(X, y, epochs=6, callback=lambda *_: copies.append(pickle.dumps(network)), **options)
    for done, pickled in enumerate(copies[:-1], start=1):
        twin = pickle.loads(pickled)
        twin.fit(X, y, epochs=6 - done, **options)
        assert twin.parameters.tobytes() == network.parameters.tobytes()


def test_a_file_without_state_is_smaller_and_readable_by_older_versions(tmp_path):
    network, *_ = trained("adam")
    network.save(tmp_path / "whole")
    network.save(tmp_path / "small", training_state=False)
    whole, small = (load_file(tmp_path / name) for name in ("whole", "small"))
    assert set(whole) - set(small) == {
        "training.moments",
        "training.random_state",
        "training.history.loss",
        "training.history.accuracy",
        "training.history.learning_rate",
    }
    header = json.loads((tmp_path / "small").read_bytes()[8:].split(b"}}")[0] + b"}}")
    assert header["__metadata__"]["version"] == "1"
    loaded = nbp.load(tmp_path / "small")
    assert loaded.history is None and loaded.rule_state("adam").steps == 0
    with pytest.raises(TypeError, match="training_state"):
        network.save(tmp_path / "net", training_state="no")


def test_damaged_state_is_refused(tmp_path):
    path = tmp_path / "net"
    network, *_ = trained("adam")
    network.save(path)
    whole = path.read_bytes()
    draw = np.random.RandomState(0)
    for _ in range(300):
        altered = bytearray(whole)
        at = draw.randint(len(whole))
        altered[at] ^= 1 << draw.randint(8)
        path.write_bytes(altered[: draw.randint(len(whole))] if draw.rand() < 0.2 else altered)
        with pytest.raises(ValueError, match="net: "):
            nbp.load(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"update_rule": "nothing"},
        {"update_rule": ["adam"]},
        {"update_rule": "momentum"},
        {"steps": -1},
        {"steps": 2**70},
        {"history": {}},
        {"history": None},
        {"history": {"names": ["loss", "other"], "stop_reason": "", "seconds": 0.0}},
        {"random_state": {"position": 625, "has_gauss": 0, "gauss": 0.0}},
        {"random_state": None},
        {"more": 1},
    ],
)
def test_state_that_does_not_fit_is_refused(tmp_path, changes):
    network, *_ = trained("adam")
    network.save(tmp_path / "net")
    stored = storage.read_network(tmp_path / "net")
    kept = stored.kept._replace(facts={**stored.kept.facts, **changes})
    storage.write_network(tmp_path / "net", stored.architecture, stored.init, stored.parameters, kept=kept)
    with pytest.raises(ValueError, match="net: "):
        nbp.load(tmp_path / "net")


def test_other_generators_are_named(tmp_path):
    network = nbp.Network((2, 1), random_state=np.random.RandomState(np.random.PCG64(0)))
    with pytest.raises(ValueError, match=r"PCG64.*training_state=False"):
        network.save(tmp_path / "net")
    network.save(tmp_path / "net", training_state=False)


def test_metadata(tmp_path):
    save(small_network(), tmp_path / "net", {"classes": ["a", "é"], "n": 3})
    assert load_metadata(tmp_path / "net") == {"classes": ["a", "é"], "n": 3}


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        nbp.load(tmp_path / "absent")


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "net"
    small_network().save(path, training_state=False)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="net: "):
            nbp.load(path)


def test_altered_bytes_are_refused(tmp_path):
    path = tmp_path / "net"
    network = small_network()
    save(network, path, {"classes": ["a", "b"]}, training_state=False)
    whole = path.read_bytes()
    n_header = 8 + struct.unpack("<Q", whole[:8])[0]
    for position in range(len(whole)):
        for flip in (0x01, 0x10, 0x80, 0xFF):
            altered = bytearray(whole)
            altered[position] ^= flip
            path.write_bytes(altered)
            try:
                loaded, metadata = load_with_metadata(path)
            except ValueError as error:
                assert str(path) in str(error)
            else:  # one white space for another
                assert position < n_header
                assert loaded.parameters.tobytes() == network.parameters.tobytes()
                assert loaded.activations == network.activations
                assert metadata == {"classes": ["a", "b"]}


def hostile(path, header, data=b""):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def header_of(sizes, **changes):
    architecture = json.dumps(
        {
            "layer_sizes": sizes,
            "activations": ["sigmoid"],
            "loss": "binary_cross_entropy",
            "init": "zeros",
            "dtype": "float64",
            **changes,
        }
    )
    digest = hashlib.sha256(f"{architecture}\0{{}}\0".encode() + bytes(16)).hexdigest()
    return {
        "__metadata__": {
            "format": "numbabp-network",
            "version": "1",
            "architecture": architecture,
            "metadata": "{}",
            "sha256": digest,
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
        {"quantile": 0.3},
        {"loss": "quantile"},
        {"loss": "quantile", "quantile": 1.0},
        {"loss": "quantile", "quantile": "0.3"},
        {"loss": "quantile", "quantile": True},
        {"loss": "quantile", "quantile": None},
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
    with pytest.raises(ValueError, match="not a regular file"):
        nbp.load(tmp_path)
    with pytest.raises(ValueError, match="not a regular file"):
        nbp.load("/dev/zero")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes are too few"),
        (struct.pack("<Q", 2**62) + b"{}", "truncated, or not a safetensors file"),
        (struct.pack("<Q", 2) + b"\xff\xff", "not UTF-8"),
        (struct.pack("<Q", 2) + b"[]", "not a JSON object"),
        (struct.pack("<Q", 200_000) + b"[" * 200_000, "not valid JSON"),
        (struct.pack("<Q", 16) + b'{"a": 1, "a": 2}', "a name occurs twice"),
        (struct.pack("<Q", 8) + b'{"a":NaN', "NaN is not JSON"),
        (struct.pack("<Q", 5 << 20) + bytes(5 << 20), "at most 4194304 are allowed"),
        (struct.pack("<Q", 9000) + b"{" + b"1" * 8999, "not valid JSON"),
    ],
)
def test_bad_headers_are_refused(tmp_path, content, message):
    path = tmp_path / "net"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        nbp.load(path)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("layers.0.weights", {"data_offsets": [0, 16]}, "should take 8 from 0"),
        ("layers.0.weights", {"data_offsets": [8, 16]}, "should take 8 from 0"),
        ("layers.0.biases", {"data_offsets": [0, 8]}, "should take 8 from"),
        ("layers.0.biases", {"data_offsets": [16, 24]}, "should take 8 from 8"),
        ("layers.0.weights", {"data_offsets": [0, 8.0]}, "two integers"),
        ("layers.0.weights", {"data_offsets": [0, 10**30]}, "should take 8 from 0"),
        ("layers.0.weights", {"data_offsets": None}, "two integers"),
        ("layers.0.weights", {"shape": [2, 1]}, "its architecture says"),
        ("layers.0.weights", {"shape": None}, "its architecture says"),
        ("layers.0.weights", {"dtype": "I64"}, "its architecture says"),
        ("layers.0.weights", {"more": 1}, "must have dtype, shape and data_offsets"),
        ("layers.1.weights", {}, "too many"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path, name, changes, message):
    header = header_of([1, 1])
    header[name] = {**header.get(name, {}), **changes}
    hostile(tmp_path / "net", header, bytes(16))
    with pytest.raises(ValueError, match=message):
        nbp.load(tmp_path / "net")


def test_metadata_that_were_not_written_are_refused(tmp_path):
    for name in ("version", "architecture", "metadata", "sha256"):
        header = header_of([1, 1])
        header["__metadata__"][name] = None
        hostile(tmp_path / "net", header, bytes(16))
        with pytest.raises(ValueError, match=name):
            nbp.load(tmp_path / "net")


def test_loading_takes_no_more_memory_than_the_file(tmp_path):
    path = tmp_path / "net"
    nbp.Network((1000, 500, 1), dtype="float32").save(path)
    nbp.load(path)
    peaks = []
    for _ in range(3):  # threads of other tests, such as a Dask client's, allocate, too
        tracemalloc.start()
        network = nbp.load(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert network.parameters.nbytes < min(peaks) < path.stat().st_size + 50_000


def test_other_programs_read_the_tensors(tmp_path):
    network = small_network()
    network.save(tmp_path / "net", training_state=False)
    tensors = load_file(tmp_path / "net")
    assert sorted(tensors) == ["layers.0.biases", "layers.0.weights", "layers.1.biases", "layers.1.weights"]
    assert np.array_equal(tensors["layers.1.weights"], network.weights[1])


def test_metadata_must_be_json(tmp_path):
    for metadata, error in ([], TypeError), ({"a": {1}}, TypeError), ({"a": np.nan}, ValueError):
        with pytest.raises(error):
            save(small_network(), tmp_path / "net", metadata)
    with pytest.raises(ValueError, match="too long"):
        save(small_network(), tmp_path / "net", {"a": "x" * (5 << 20)})
    assert not os.listdir(tmp_path)


def test_permissions_and_links_stay(tmp_path):
    path, link = tmp_path / "net", tmp_path / "link"
    before = os.umask(0o027)
    try:
        small_network().save(path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640
    path.chmod(0o604)
    link.symlink_to(path)
    network = nbp.Network((1, 1))
    network.save(link)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o604
    assert nbp.load(path).layer_sizes == (1, 1)


def test_what_is_not_a_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/null"):
        with pytest.raises(OSError, match="not a regular file"):
            small_network().save(path)
    with pytest.raises(FileNotFoundError, match=r"absent.net'"):
        small_network().save(tmp_path / "absent" / "net")


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
