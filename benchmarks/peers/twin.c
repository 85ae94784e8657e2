/* The plain C twin: per-sample SGD of one hidden layer, sigmoid everywhere, binary cross-entropy; or with
 * -DSQUARED_ERROR half the squared error.
 *
 * REAL is float or double. Sizes are arguments, or constants with -DINPUTS= -DHIDDEN= -DOUTPUTS=. Parameters lie as
 * in numbabp: W1 (inputs, hidden), b1, W2 (hidden, outputs), b2. Measured, and so chosen: scratch that might overlap
 * the parameters costs 64-32-10 a fifth more; `restrict` on each of the four parameters makes the builds with
 * constant sizes several times slower. Returns the prequential loss of the last epoch. */
#include <math.h>

typedef REAL real;

static inline real sigmoid(real z) {
    return (real)1 / ((real)1 + (sizeof(real) == sizeof(float) ? expf(-z) : exp(-z)));
}

double train(real *restrict parameters, const real *restrict X, const real *restrict Y, long n, long epochs,
             long inputs, long hidden, long outputs, double learning_rate, real *restrict h, real *restrict o,
             real *restrict delta_h, real *restrict delta_o) {
#ifdef INPUTS
    inputs = INPUTS, hidden = HIDDEN, outputs = OUTPUTS;
#endif
    real *W1 = parameters, *b1 = W1 + inputs * hidden, *W2 = b1 + hidden, *b2 = W2 + hidden * outputs;
    const real eta = (real)learning_rate;
    double loss = 0;
    for (long epoch = 0; epoch < epochs; epoch++) {
        loss = 0;
        for (long t = 0; t < n; t++) {
            const real *x = X + t * inputs, *y = Y + t * outputs;
            for (long j = 0; j < hidden; j++) h[j] = b1[j];
            for (long i = 0; i < inputs; i++)
                for (long j = 0; j < hidden; j++) h[j] += x[i] * W1[i * hidden + j];
            for (long j = 0; j < hidden; j++) h[j] = sigmoid(h[j]);
            for (long k = 0; k < outputs; k++) o[k] = b2[k];
            for (long j = 0; j < hidden; j++)
                for (long k = 0; k < outputs; k++) o[k] += h[j] * W2[j * outputs + k];
            for (long k = 0; k < outputs; k++) {
                o[k] = sigmoid(o[k]);
                delta_o[k] = o[k] - y[k];
#ifdef SQUARED_ERROR
                loss += (real)0.5 * delta_o[k] * delta_o[k];
                delta_o[k] *= o[k] * (1 - o[k]);
#else
                loss -= y[k] * log(o[k]) + (1 - y[k]) * log(1 - o[k]);
#endif
            }
            for (long j = 0; j < hidden; j++) {
                real sum = 0;
                for (long k = 0; k < outputs; k++) sum += W2[j * outputs + k] * delta_o[k];
                delta_h[j] = sum * h[j] * (1 - h[j]);
            }
            for (long j = 0; j < hidden; j++) {
                const real g = eta * h[j];
                for (long k = 0; k < outputs; k++) W2[j * outputs + k] -= g * delta_o[k];
            }
            for (long k = 0; k < outputs; k++) b2[k] -= eta * delta_o[k];
            for (long i = 0; i < inputs; i++) {
                const real g = eta * x[i];
                for (long j = 0; j < hidden; j++) W1[i * hidden + j] -= g * delta_h[j];
            }
            for (long j = 0; j < hidden; j++) b1[j] -= eta * delta_h[j];
        }
    }
    return loss;
}
