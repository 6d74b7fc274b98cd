"""The private parts of Keras and TensorFlow that the package uses."""
