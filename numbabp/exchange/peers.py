"""Other libraries, imported when they are asked for."""

from importlib import import_module
from typing import Any

INSTALL = {
    "keras": "pip install keras, and a backend of it such as jax or torch",
    "onnx": 'pip install "numbabp[onnx]"',
    "skl2onnx": "pip install skl2onnx",
    "torch": "pip install torch",
}


def peer(name: str, what: str) -> Any:
    """A library by the name that it is imported by, for `what`.

    Raises
    ------
    ImportError
        If it is not installed; it says how to do that.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:  # installed, but itself in want of something
            raise
        raise ImportError(f"{what} needs {name}: {INSTALL[name]}.", name=name) from None
