"""A function that compares outputs of some samples with those that Python gives."""

from .literals import array_of, literal
from .pieces import Pieces

TOLERANCE = {"float32": 1e-5, "float64": 1e-11}
"""Relative to 1 or to the output: what another exponential, or another order of sums, may change."""

CHECK = """
static const $real ${net}_samples[$n_numbers] = $samples;
static const $real ${net}_expected[$n_outputs] = $expected;

/* How many of $n samples have other outputs than they had in Python$when. */
${public}int ${net}_check($model)
{
    const $real *expected = ${net}_expected;
    int n_wrong = 0;
    for (int s = 0; s < $n; s++) {
        $real outputs[${NET}_N_OUTPUTS];
        int is_wrong = 0;
        ${net}_forward(${with}${net}_samples + s * ${NET}_N_INPUTS, outputs);
        for (int k = 0; k < ${NET}_N_OUTPUTS; k++) {
            const $real right = *expected++, error = outputs[k] - right;
            const $real most = $tolerance * (right > 1.0$f ? right : right < -1.0$f ? -right : 1.0$f);
            if (!(error <= most && -error <= most))
                is_wrong = 1;
        }
        n_wrong += is_wrong;
    }
    return n_wrong;
}
"""


def add_check(pieces: Pieces) -> None:
    """The samples and their outputs, as constants, and what compares."""
    program, dtype = pieces.program, pieces.dtype
    assert program.samples is not None
    X, outputs = program.samples
    is_learning = program.learning is not None
    pieces.add_public(
        CHECK.replace("$model", f"const {program.name}_model *model" if is_learning else "void"),
        n=len(X),
        n_numbers=X.size,
        n_outputs=outputs.size,
        samples=array_of(X, dtype),
        expected=array_of(outputs, dtype),
        tolerance=literal(TOLERANCE[dtype.name], dtype),
        when=", before it learns" if is_learning else "",
    )
