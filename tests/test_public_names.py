"""The public names are there, and told of; run as a program, of whatever is installed."""

import importlib
import sys

NAMES = {
    "numbabp": {
        *("Network", "History", "DivergenceError", "gradient_check", "Population", "sweep", "load"),
        *(
            "MLPClassifier",
            "MLPRegressor",
            "PopulationSearchCV",
            "MLPEnsembleClassifier",
            "MLPEnsembleRegressor",
        ),
        *("from_keras", "from_sklearn", "from_torch", "register_with_skl2onnx"),
        "__version__",
    },
    "numbabp.jit": {"forward", "gradient", "step"},
    "numbabp.plotting": {
        *("Recorder", "decision_boundary", "hidden_units", "network_diagram", "weights_animation"),
    },
    "numbabp.sklearn": {"MLPClassifier", "MLPRegressor"},
}
"""What is promised; numbabp.river and numbabp.loggers need packages of others."""


def test_every_public_name_is_there_and_has_a_docstring():
    for module_name, names in NAMES.items():
        module = importlib.import_module(module_name)
        assert set(module.__all__) == names, module_name
        for name in names:
            assert getattr(module, name).__doc__, f"{module_name}.{name}"


if __name__ == "__main__":
    import numbabp

    assert "site-packages" in numbabp.__file__, numbabp.__file__
    test_every_public_name_is_there_and_has_a_docstring()
    print(f"numbabp {numbabp.__version__} on Python {sys.version.split()[0]}: all public names are there")
