/* The plain C twin for any number of layers, with momentum and an L2 penalty on the weights if asked for,
 * or with adam if beta_1 is not 0.
 *
 * Per-sample SGD, sigmoid everywhere, binary cross-entropy or with -DSQUARED_ERROR half the squared error, delta sent
 * back through the weights of the forward pass.
 * REAL is float or double. Sizes are arguments, or constants with -DLAYER_SIZES=784,512,512,10. Parameters and
 * velocity, or adam's first and then all second moments, lie as in numbabp: W (fan_in, fan_out), b, of the first layer, of the second, ... `units` and `deltas` hold
 * the layers' units one after the other, the inputs left out. Returns the prequential loss of the last epoch. */
#include <math.h>

typedef REAL real;

static inline real sigmoid(real z) {
    return (real)1 / ((real)1 + (sizeof(real) == sizeof(float) ? expf(-z) : exp(-z)));
}

static inline real root(real s) { return sizeof(real) == sizeof(float) ? sqrtf(s) : sqrt(s); }

static inline void forward(const real *restrict W, const real *restrict b, const real *restrict x, long fan_in,
                           long fan_out, real *restrict a) {
    for (long j = 0; j < fan_out; j++) a[j] = b[j];
    for (long i = 0; i < fan_in; i++)
        for (long j = 0; j < fan_out; j++) a[j] += x[i] * W[i * fan_out + j];
    for (long j = 0; j < fan_out; j++) a[j] = sigmoid(a[j]);
}

static inline void backward(const real *restrict W, const real *restrict delta, const real *restrict x, long fan_in,
                            long fan_out, real *restrict delta_below) {
    for (long i = 0; i < fan_in; i++) {
        real sum = 0;
        for (long j = 0; j < fan_out; j++) sum += W[i * fan_out + j] * delta[j];
        delta_below[i] = sum * x[i] * (1 - x[i]);
    }
}

static inline void update(real *restrict W, real *restrict b, const real *restrict x, const real *restrict delta,
                          long fan_in, long fan_out, real eta) {
    for (long i = 0; i < fan_in; i++) {
        const real g = eta * x[i];
        for (long j = 0; j < fan_out; j++) W[i * fan_out + j] -= g * delta[j];
    }
    for (long j = 0; j < fan_out; j++) b[j] -= eta * delta[j];
}

static inline void update_with_momentum(real *restrict W, real *restrict b, real *restrict V, real *restrict v,
                                        const real *restrict x, const real *restrict delta, long fan_in, long fan_out,
                                        real eta, real mu, real l2) {
    for (long i = 0; i < fan_in; i++)
        for (long j = 0; j < fan_out; j++) {
            const long ij = i * fan_out + j;
            V[ij] = mu * V[ij] + (x[i] * delta[j] + l2 * W[ij]);
            W[ij] -= eta * V[ij];
        }
    for (long j = 0; j < fan_out; j++) {
        v[j] = mu * v[j] + delta[j];
        b[j] -= eta * v[j];
    }
}

struct adam {
    real eta, keep, take, keep_2, take_2, correction, epsilon;
};

static inline void update_with_adam(real *restrict W, real *restrict M, real *restrict S, const real *restrict x,
                                    const real *restrict delta, long fan_in, long fan_out, struct adam a) {
    for (long i = 0; i < fan_in; i++)
        for (long j = 0; j < fan_out; j++) {
            const long ij = i * fan_out + j;
            const real g = x[i] * delta[j];
            M[ij] = a.keep * M[ij] + a.take * g;
            S[ij] = a.keep_2 * S[ij] + a.take_2 * g * g;
            W[ij] -= a.eta * M[ij] / (root(S[ij] * a.correction) + a.epsilon);
        }
}

double train(real *parameters, real *velocity, const real *X, const real *Y, long n, long epochs, long n_layers,
             const long *sizes, double learning_rate, double momentum, double l2, double beta_1, double beta_2,
             double epsilon, real *units, real *deltas) {
#ifdef LAYER_SIZES
    static const long constants[] = {LAYER_SIZES};
    sizes = constants, n_layers = sizeof constants / sizeof *constants - 1;
#endif
    const real eta = (real)learning_rate, mu = (real)momentum, penalty = (real)l2;
    const long n_inputs = sizes[0], n_outputs = sizes[n_layers];
    long n_parameters = 0, n_units = 0;
    for (long l = 0; l < n_layers; l++) {
        n_parameters += (sizes[l] + 1) * sizes[l + 1];
        n_units += sizes[l + 1];
    }
    double loss = 0, power_1 = 1, power_2 = 1;
    for (long epoch = 0; epoch < epochs; epoch++) {
        loss = 0;
        for (long t = 0; t < n; t++) {
            const real *x = X + t * n_inputs, *y = Y + t * n_outputs;
            real *W = parameters, *a = units;
            const real *below = x;
#pragma GCC unroll 8
            for (long l = 0; l < n_layers; l++) {
                forward(W, W + sizes[l] * sizes[l + 1], below, sizes[l], sizes[l + 1], a);
                W += (sizes[l] + 1) * sizes[l + 1];
                below = a;
                a += sizes[l + 1];
            }
            real *delta = deltas + (a - units) - n_outputs;
            for (long k = 0; k < n_outputs; k++) {
                const real o = below[k];
                delta[k] = o - y[k];
#ifdef SQUARED_ERROR
                loss += (real)0.5 * delta[k] * delta[k];
                delta[k] *= o * (1 - o);
#else
                loss -= y[k] * log(o) + (1 - y[k]) * log(1 - o);
#endif
            }
            power_1 *= beta_1, power_2 *= beta_2;
            const struct adam adam = {(real)(learning_rate / (1 - power_1)), (real)beta_1, (real)(1 - beta_1),
                                      (real)beta_2, (real)(1 - beta_2), (real)(1 / (1 - power_2)), (real)epsilon};
            W = parameters + n_parameters, a = units + n_units - n_outputs;
#pragma GCC unroll 8
            for (long l = n_layers - 1; l >= 0; l--) {
                const long fan_in = sizes[l], fan_out = sizes[l + 1];
                W -= (fan_in + 1) * fan_out;
                if (l) {
                    a -= fan_in;
                    backward(W, delta, a, fan_in, fan_out, delta - fan_in);
                }
                const real *inputs = l ? a : x;
                real *b = W + fan_in * fan_out, *V = velocity + (W - parameters);
                if (beta_1 != 0) {
                    const real one = 1;
                    update_with_adam(W, V, V + n_parameters, inputs, delta, fan_in, fan_out, adam);
                    update_with_adam(b, V + fan_in * fan_out, V + n_parameters + fan_in * fan_out, &one, delta, 1,
                                     fan_out, adam);
                } else if (momentum != 0 || l2 != 0)
                    update_with_momentum(W, b, V, V + fan_in * fan_out, inputs, delta, fan_in, fan_out, eta, mu, penalty);
                else
                    update(W, b, inputs, delta, fan_in, fan_out, eta);
                delta -= fan_in;
            }
        }
    }
    return loss;
}
