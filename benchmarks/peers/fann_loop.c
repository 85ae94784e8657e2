/* FANN's incremental training in a loop, so that no call from Python stands between two samples.
 *
 * -DHEADER=<floatfann.h> or <doublefann.h>. The sigmoid of steepness 0.5 is FANN's name for 1 / (1 + exp(-z)). */
#include <string.h>
#include HEADER

struct fann *create(unsigned int n_layers, const unsigned int *sizes) {
    struct fann *ann = fann_create_standard_array(n_layers, sizes);
    fann_set_activation_function_hidden(ann, FANN_SIGMOID);
    fann_set_activation_function_output(ann, FANN_SIGMOID);
    fann_set_activation_steepness_hidden(ann, 0.5);
    fann_set_activation_steepness_output(ann, 0.5);
    fann_set_train_error_function(ann, FANN_ERRORFUNC_LINEAR);
    fann_set_training_algorithm(ann, FANN_TRAIN_INCREMENTAL);
    return ann;
}

void destroy(struct fann *ann) { fann_destroy(ann); }

long n_weights(struct fann *ann) { return ann->total_connections; }

/* Also forgets the last steps, which momentum would go on with. */
void set_weights(struct fann *ann, const fann_type *weights) {
    memcpy(ann->weights, weights, ann->total_connections * sizeof(fann_type));
    if (ann->prev_weights_deltas) memset(ann->prev_weights_deltas, 0, ann->total_connections * sizeof(fann_type));
}

void get_weights(struct fann *ann, fann_type *weights) {
    memcpy(weights, ann->weights, ann->total_connections * sizeof(fann_type));
}

void train(struct fann *ann, fann_type *X, fann_type *Y, long n, long epochs, double learning_rate, double momentum) {
    fann_set_learning_rate(ann, (float)learning_rate);
    fann_set_learning_momentum(ann, (float)momentum);
    for (long epoch = 0; epoch < epochs; epoch++) {
        fann_reset_MSE(ann);
        for (long t = 0; t < n; t++) fann_train(ann, X + t * ann->num_input, Y + t * ann->num_output);
    }
}
